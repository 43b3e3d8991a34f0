"""The notifier: enqueues a turn of a project after events or some time, at most one a second for each project."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from backend.errors import BackendError
from backend.rounds.engine.workflow import RoundExecutor
from backend.store import Store
from backend.store.sql import snapshots

log = logging.getLogger(__name__)

_KEEP_WORKFLOWS = 24 * 3600.0  # seconds that the records of ended workflows are kept
_CLEAN_EVERY = 3600.0
_RECONNECT_EVERY = 3600.0  # seconds between checks of a disconnected project
_REVIVE_EVERY = 5.0
TAKE_OVER_AFTER = 30.0  # seconds without a heartbeat after which a worker's rounds are taken over
_PAUSE_AFTER_ERROR = 10.0
_PAUSE_OF_PROJECT = 30.0
_LOG_EVERY = 600.0


def due(store: Store, now: float, sync_interval: float) -> list[tuple[int, int]]:
    """Project and turn of every connected project with unread events, or without a sync for `sync_interval` seconds.

    After an error, events wait a while. A disconnected project is checked each hour, because it may be connected again.
    """
    newest = store.events.newest()
    found = []
    for project in store.projects.all(connected=False):
        idle = now - project.synced_at
        if not project.connected:
            if not 0 <= idle < _RECONNECT_EVERY:
                found.append((project.id, project.turn))
            continue
        events = newest.get(project.id, 0) > project.event_mark
        early = events and (project.error is None or idle > _PAUSE_OF_PROJECT)
        if early or not 0 <= idle < sync_interval:
            found.append((project.id, project.turn))
    return found


def notify(
    executor: RoundExecutor, store: Store, beat: Callable[[], None], *, sync_interval: float, stop: threading.Event
) -> None:
    """Enqueue due turns until `stop` is set. A turn that waits or runs is not enqueued twice.

    Raises `BackendError` if the database is damaged: the next start restores its snapshot.
    """
    revived = well_since = polled = time.monotonic()
    cleaned = revived - _CLEAN_EVERY
    logged = -_LOG_EVERY
    file = store.database.file
    pause = 1.0
    while not stop.wait(pause):
        try:
            beat()
            for project_id, turn in due(store, time.time(), sync_interval):
                while executor.enqueue(project_id, turn):  # already finished, possibly before a restore
                    store.projects.take_turn(project_id, turn)
                    turn += 1
            if time.monotonic() - revived > _REVIVE_EVERY:
                # While the database was away no heartbeat was written: wait for the others' first.
                known = time.monotonic() - well_since > TAKE_OVER_AFTER
                executor.revive((lambda: store.workers.alive(within=TAKE_OVER_AFTER)) if known else None)
                revived = time.monotonic()
            if time.monotonic() - cleaned > _CLEAN_EVERY:
                executor.forget(older_than=_KEEP_WORKFLOWS)
                cleaned = time.monotonic()
            pause = 1.0
            if time.monotonic() - polled > _PAUSE_AFTER_ERROR:
                well_since = time.monotonic()
            polled = time.monotonic()
            suspect = file is not None and file.suspect
        except Exception:  # a full disk or a locked database passes; a dead notifier would not
            pause = _PAUSE_AFTER_ERROR
            well_since = time.monotonic() + pause
            if time.monotonic() - logged >= _LOG_EVERY:
                log.exception("the notifier could not poll for work; it tries again every %.0f s", pause)
                logged = time.monotonic()
            suspect = True
        if suspect and file is not None:
            for path, wrong in ((file.path, file.damage()),
                                (executor.records, snapshots.damage(executor.records))):  # fmt: skip
                if wrong:
                    raise BackendError(f"{path.name} is damaged ({wrong}); start the worker again")
            file.suspect = False

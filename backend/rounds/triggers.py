"""The notifier: turns events and the passing of time into turns of the queue, at most one a second for each project."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from backend.errors import BackendError
from backend.rounds.workflow import Rounds
from backend.store import Store, snapshots

log = logging.getLogger(__name__)

_KEEP_WORKFLOWS = 24 * 3600.0  # seconds that the records of ended workflows are kept
_CLEAN_EVERY = 3600.0
_LOOK_AGAIN = 3600.0  # seconds between looks at a project that left
_REVIVE_EVERY = 5.0
SILENT = 30.0  # seconds without a sign of life after which a worker's rounds are taken over
_PAUSE_AFTER_ERROR = 10.0
_PAUSE_IN_TROUBLE = 30.0
_SAY_AGAIN = 600.0


def due(store: Store, now: float, sync_interval: float) -> list[tuple[int, int]]:
    """Project and turn of every connected project with unread events, or not looked at for `sync_interval` seconds.

    While a project is in trouble, events alone do not hurry it. One that left is looked at each hour: it may be back.
    """
    newest = store.events.newest()
    found = []
    for project in store.projects.all(connected=False):
        idle = now - project.synced_at
        if not project.connected:
            if not 0 <= idle < _LOOK_AGAIN:
                found.append((project.id, project.turn))
            continue
        events = newest.get(project.id, 0) > project.event_mark
        hurry = events and (project.error is None or idle > _PAUSE_IN_TROUBLE)
        if hurry or not 0 <= idle < sync_interval:
            found.append((project.id, project.turn))
    return found


def notify(
    rounds: Rounds, store: Store, beat: Callable[[], None], *, sync_interval: float, stop: threading.Event
) -> None:
    """Enqueue due turns until told to stop. A turn already waiting or running is not enqueued twice.

    Raises `BackendError` if the database turns out to be damaged: a new start puts its snapshot in its place.
    """
    revived = well_since = looked = time.monotonic()
    cleaned = revived - _CLEAN_EVERY
    said = -_SAY_AGAIN
    file = store.database.file
    pause = 1.0
    while not stop.wait(pause):
        try:
            beat()
            for project_id, turn in due(store, time.time(), sync_interval):
                while rounds.enqueue(project_id, turn):  # it ended before it could open the next, or in another life
                    store.projects.take_turn(project_id, turn)
                    turn += 1
            if time.monotonic() - revived > _REVIVE_EVERY:
                # After a while without the database nobody has been heard of: first the others have to be back.
                sure = time.monotonic() - well_since > SILENT
                rounds.revive((lambda: store.workers.alive(within=SILENT)) if sure else None)
                revived = time.monotonic()
            if time.monotonic() - cleaned > _CLEAN_EVERY:
                rounds.forget(older_than=_KEEP_WORKFLOWS)
                cleaned = time.monotonic()
            pause = 1.0
            if time.monotonic() - looked > _PAUSE_AFTER_ERROR:
                well_since = time.monotonic()
            looked = time.monotonic()
            suspect = file is not None and file.suspect
        except Exception:  # a full disk or a locked database passes; a dead notifier would not
            pause = _PAUSE_AFTER_ERROR
            well_since = time.monotonic() + pause
            if time.monotonic() - said >= _SAY_AGAIN:
                log.exception("the notifier could not look for work; it tries again every %.0f s", pause)
                said = time.monotonic()
            suspect = True
        if suspect and file is not None:
            for path, wrong in ((file.path, file.damage()),
                                (rounds.records, snapshots.damage(rounds.records))):  # fmt: skip
                if wrong:
                    raise BackendError(f"{path.name} is damaged ({wrong}); start the worker again")
            file.suspect = False

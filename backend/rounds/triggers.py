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
_REVIVE_EVERY = 5.0
_PAUSE_AFTER_ERROR = 10.0
_SAY_AGAIN = 600.0


def due(store: Store, now: float, sync_interval: float) -> list[tuple[int, int]]:
    """Project and turn of every connected project with unread events, or not looked at for `sync_interval` seconds.

    While a project is in trouble, events alone do not hurry it.
    """
    newest = store.events.newest()
    found = []
    for project in store.projects.all():
        idle = now - project.synced_at
        events = newest.get(project.id, 0) > project.event_mark
        hurry = events and (project.error is None or idle > _PAUSE_AFTER_ERROR)
        if hurry or not 0 <= idle < sync_interval:
            found.append((project.id, project.turn))
    return found


def notify(
    rounds: Rounds, store: Store, beat: Callable[[], None], *, sync_interval: float, stop: threading.Event
) -> None:
    """Enqueue due turns until told to stop. A turn already waiting or running is not enqueued twice.

    Raises `BackendError` if the database turns out to be damaged: a new start puts its snapshot in its place.
    """
    cleaned = revived = time.monotonic()
    said = -_SAY_AGAIN
    pause = 1.0
    while not stop.wait(pause):
        try:
            beat()
            for project_id, turn in due(store, time.time(), sync_interval):
                if rounds.enqueue(project_id, turn):  # it ended before it could open the next
                    store.projects.take_turn(project_id, turn)
            if time.monotonic() - revived > _REVIVE_EVERY:
                rounds.revive()
                revived = time.monotonic()
            if time.monotonic() - cleaned > _CLEAN_EVERY:
                rounds.forget(older_than=_KEEP_WORKFLOWS)
                cleaned = time.monotonic()
            pause = 1.0
        except Exception:  # a full disk or a locked database passes; a dead notifier would not
            pause = _PAUSE_AFTER_ERROR
            if time.monotonic() - said >= _SAY_AGAIN:
                log.exception("the notifier could not look for work; it tries again every %.0f s", pause)
                said = time.monotonic()
            if wrong := snapshots.damage(store.database.path):
                raise BackendError(f"the database is damaged ({wrong}); start the worker again") from None

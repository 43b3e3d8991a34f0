"""`/ready`: the state of database, queue, worker and Label Studio: `ok`, or what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from flask import Blueprint
from sqlalchemy.exc import SQLAlchemyError

from backend.store import Store
from backend.store.workers import SILENT
from backend.web.openapi import operation
from backend.web.responses import Ready

_WAITING = 600.0  # seconds that an event may wait while no round runs; during a round, events wait until it ends


def blueprint(store: Store) -> Blueprint:
    """The route. Status 200 if every part is ok, else 503; the body has the state of each part."""
    routes = Blueprint("ready", __name__)

    @routes.get("/ready")
    @operation()
    def ready() -> tuple[Ready, Literal[200, 503]]:
        """Whether database, queue, worker and Label Studio work."""
        found = {name: _problem(check, store) for name, check in _CHECKS.items()}
        body: Ready = {
            "database": found["database"] or "ok",
            "queue": found["queue"] or "ok",
            "worker": found["worker"] or "ok",
            "label_studio": found["label_studio"] or "ok",
        }
        return body, 503 if any(found.values()) else 200

    return routes


def _problem(check: Callable[[Store], str | None], store: Store) -> str | None:
    try:
        return check(store)
    except SQLAlchemyError as error:
        return f"the database cannot be used ({getattr(error, 'orig', type(error).__name__)})"


def _database(store: Store) -> str | None:
    store.projects.all()
    file = store.database.file
    if file is not None and file.suspect:
        if wrong := file.damage():
            return f"the database is damaged ({wrong}); start the worker again"
        file.suspect = False
    return None


def _worker(store: Store) -> str | None:
    last = store.workers.newest()
    if last is None:
        return "no worker has been started here; start `lsal serve` or `lsal worker`"
    _, silent = last  # negative after the clock was set back, until the worker's next heartbeat
    return None if silent < SILENT else f"the worker last reported {silent:.0f} s ago; see its log"


def _queue(store: Store) -> str | None:
    waited = store.events.oldest_age()
    connected = {project.id for project in store.projects.all()}
    busy = any(last.state == "running" and last.project_id in connected for last in store.rounds.newest())
    if waited < _WAITING or busy:
        return None
    return f"an event has waited for {waited:.0f} s though no round runs; see the worker's log"


def _label_studio(store: Store) -> str | None:
    last = store.workers.newest()
    return None if last is None else last[0].label_studio


_CHECKS = {"database": _database, "queue": _queue, "worker": _worker, "label_studio": _label_studio}

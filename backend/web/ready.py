"""`/ready`: the state of database, queue, worker and Label Studio: `ok`, or what is wrong."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Response, jsonify
from sqlalchemy.exc import SQLAlchemyError

from backend.store import Store
from backend.store.workers import SILENT

_WAITING = 600.0  # seconds that an event may wait while no round runs; during a round, events wait until it ends


def blueprint(store: Store) -> Blueprint:
    """The route. Status 200 if every part is ok, else 503; the body has the state of each part."""
    routes = Blueprint("ready", __name__)

    @routes.get("/ready")
    def ready() -> Response:
        found = {name: _problem(check, store) for name, check in _CHECKS.items()}
        response = jsonify({name: wrong or "ok" for name, wrong in found.items()})
        response.status_code = 503 if any(found.values()) else 200
        return response

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

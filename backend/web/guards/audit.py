"""Write the audit trail: actions, downloads, changed settings, and failed sign-ins."""

from __future__ import annotations

import logging
import threading
import time

from flask import Flask, Response, g, request
from sqlalchemy.exc import SQLAlchemyError

from backend.store import Store
from backend.store.audit import FAILED_SIGN_IN

log = logging.getLogger(__name__)

_ACTIONS = {
    ("POST", "actions.train"): "round",
    ("POST", "actions.cancel"): "cancel",
    ("POST", "actions.strategy"): "strategy",
    ("POST", "actions.base_model"): "base model",
    ("POST", "actions.rollback"): "rollback",
    ("POST", "actions.pause"): "pause",
    ("POST", "actions.finish"): "finish",
    ("POST", "actions.finish_labels"): "finish labels",
    ("POST", "actions.first"): "first",
    ("GET", "api.labels_"): "labels downloaded",
    ("GET", "api.export"): "labels downloaded",
    ("GET", "api.adapter"): "adapter downloaded",
}
# Names of the dashboard's forms that differ.
_FORMS = {
    "train": "round",
    "base_model": "base model",
    "finish_labels": "finish labels",
}
_EVERY = 60.0  # seconds between two entries about failed sign-ins from one address
_MOST = 1000  # addresses that are remembered


def keep(app: Flask, store: Store) -> None:
    """Record what succeeded, and who was refused for a wrong password."""
    refused: dict[str, float] = {}
    lock = threading.Lock()

    def is_new(origin: str) -> bool:
        with lock:
            if time.monotonic() - refused.get(origin, -_EVERY) < _EVERY:
                return False
            if len(refused) >= _MOST:
                refused.clear()
            refused[origin] = time.monotonic()
            return True

    @app.after_request
    def _record(response: Response) -> Response:
        arguments = request.view_args or {}
        action = _ACTIONS.get((request.method, request.endpoint or ""))
        if (request.method, request.endpoint) == ("POST", "dashboard.do"):
            action = _FORMS.get(arguments["action"], arguments["action"])
        if response.status_code < 400 and action is not None:
            record(store, action, int(arguments["project_id"]), _detail(arguments))
        elif response.status_code == 401 and request.authorization and is_new(request.remote_addr or ""):
            g.user = request.authorization.username or ""
            record(store, FAILED_SIGN_IN, None)
        return response


def record(store: Store, action: str, project_id: int | None, detail: str = "") -> None:
    """Record an action of the current request's caller. Actions are possible with a full disk, too."""
    user = g.get("user", "")
    try:
        store.audit.add(action, project_id, user=user, origin=request.remote_addr or "", detail=detail)
    except SQLAlchemyError as error:
        log.error("the audit trail cannot be written (%s)", type(error).__name__)


def _detail(arguments: dict[str, str]) -> str:
    """The choice: the adapter's number of a download, or the values of a form or of a JSON body."""
    if "number" in arguments:
        return arguments["number"]
    if tasks := request.form.getlist("task"):
        return f"{len(tasks)} tasks"
    values = request.form.to_dict() or request.get_json(force=True, silent=True)
    if not isinstance(values, dict):
        return ""
    if isinstance(values.get("tasks"), list):
        return f"{len(values['tasks'])} tasks"
    return ", ".join(f"{name} {value}" for name, value in values.items())

"""Who may call: basic authentication as Label Studio sends it or, for events alone, the secret of their webhook."""

from __future__ import annotations

import hmac

from flask import Flask, Response, g, request

from backend.labelstudio.webhook import SECRET_HEADER, project_of_secret
from backend.settings import Settings
from backend.store import Store
from backend.web.answers import answer

OPEN = {"ml.index", "ml.health"}  # for probes: they tell nothing
WEBHOOK = "ml.webhook"
_FOR_MONITORS = {"metrics.metrics", "ready.ready"}
_WRONG = "Wrong or missing user and password; enter BASIC_AUTH_USER and BASIC_AUTH_PASS in the model's settings"


def protect(app: Flask, settings: Settings, store: Store) -> None:
    """Ask every request but health checks for user and password, if they are set. Comparisons take constant time."""
    if settings.basic_auth is None:
        return
    user, password = (part.encode() for part in settings.basic_auth)
    free = OPEN | (_FOR_MONITORS if settings.metrics_public else set())

    @app.before_request
    def _check() -> Response | None:
        if request.endpoint in free:
            return None
        given = request.authorization
        came = ((given.username or "").encode(), (given.password or "").encode()) if given else (b"", b"")
        # Compare both parts whatever the first says.
        if hmac.compare_digest(came[0], user) & hmac.compare_digest(came[1], password):
            return None
        if request.endpoint == WEBHOOK and (project_id := _vouched_for(store)) is not None:
            g.only_project = project_id
            return None
        refusal = answer(401, _WRONG)
        refusal.headers["WWW-Authenticate"] = 'Basic realm="Active learning", charset="UTF-8"'
        return refusal


def _vouched_for(store: Store) -> int | None:
    """The project whose webhook's secret the request carries."""
    came = request.headers.get(SECRET_HEADER, "")
    project_id = project_of_secret(came)
    project = store.projects.get(project_id) if project_id is not None else None
    known = project.webhook_secret if project is not None else None
    same = hmac.compare_digest(came.encode("utf-8", "replace"), (known or "").encode())
    return project_id if same and known else None

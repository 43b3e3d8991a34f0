"""Authentication: user and password (HTTP basic) or, for webhook events only, the secret of the webhook."""

from __future__ import annotations

import hmac
import math

from flask import Flask, Response, g, request

from backend.labelstudio.api.webhook_registration import SECRET_HEADER, project_of_secret
from backend.settings import Settings
from backend.store import Store
from backend.web.error_responses import answer
from backend.web.guards.sign_ins import SignIns

OPEN = {"ml.index", "ml.health"}  # health probes; they expose no data
WEBHOOK = "ml.webhook"
_FOR_MONITORS = {"metrics.metrics", "ready.ready"}
_WRONG = "Wrong or missing user and password; enter BASIC_AUTH_USER and BASIC_AUTH_PASS in the model's settings"


def protect(app: Flask, settings: Settings, store: Store) -> None:
    """Require user and password, if configured, on all but health checks. Comparisons take constant time."""
    if settings.basic_auth is None:
        return
    user, password = (part.encode() for part in settings.basic_auth)
    sign_ins = SignIns()
    free = OPEN | (_FOR_MONITORS if settings.metrics_public else set())

    @app.before_request
    def _check() -> Response | None:
        if request.endpoint in free:
            return None
        given, address = request.authorization, request.remote_addr or ""
        if given and (seconds := math.ceil(sign_ins.wait(address))):
            refusal = answer(429, f"Too many wrong passwords from {address}; try again in {seconds} s")
            refusal.headers["Retry-After"] = str(seconds)
            return refusal
        sent = ((given.username or "").encode(), (given.password or "").encode()) if given else (b"", b"")
        # `&` rather than `and`: always compare both parts.
        right = hmac.compare_digest(sent[0], user) & hmac.compare_digest(sent[1], password)
        if given:
            sign_ins.note(address, right=right)
        if right:
            g.user = settings.basic_auth_user  # for the audit trail
            return None
        if request.endpoint == WEBHOOK and (project_id := _project_of_webhook(store)) is not None:
            g.only_project = project_id
            return None
        refusal = answer(401, _WRONG)
        refusal.headers["WWW-Authenticate"] = 'Basic realm="Active learning", charset="UTF-8"'
        return refusal


def _project_of_webhook(store: Store) -> int | None:
    """The project whose webhook secret the request carries; None without a valid secret."""
    secret = request.headers.get(SECRET_HEADER, "")
    project_id = project_of_secret(secret)
    project = store.projects.get(project_id) if project_id is not None else None
    known = project.webhook_secret if project is not None else None
    same = hmac.compare_digest(secret.encode("utf-8", "replace"), (known or "").encode())
    return project_id if same and known else None

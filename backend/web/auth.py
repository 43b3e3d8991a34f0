"""Basic authentication, as Label Studio sends it."""

from __future__ import annotations

import hmac

from flask import Flask, Response, request

_OPEN = {"ml.index", "ml.health"}  # for probes


def protect(app: Flask, basic_auth: tuple[str, str] | None) -> None:
    """Ask every request but health checks for user and password, if they are set."""
    if basic_auth is None:
        return
    user, password = (part.encode() for part in basic_auth)

    @app.before_request
    def _check() -> Response | None:
        if request.endpoint in _OPEN:
            return None
        given = request.authorization
        came = ((given.username or "").encode(), (given.password or "").encode()) if given else (b"", b"")
        # Compare both parts whatever the first says, in constant time.
        if hmac.compare_digest(came[0], user) & hmac.compare_digest(came[1], password):
            return None
        message = (
            "Wrong or missing user and password; enter BASIC_AUTH_USER and BASIC_AUTH_PASS in the model's settings"
        )
        return Response(f"401 {message}", status=f"401 {message}", headers={"WWW-Authenticate": "Basic"})

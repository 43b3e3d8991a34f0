"""Whoever is signed in here must not be made to act by another site's page (cross-site request forgery)."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Flask, Response, request

from backend.web.answers import answer

_SAFE = {"GET", "HEAD", "OPTIONS"}
_FROM_HERE = {"same-origin", "none"}
_REFUSAL = (
    "This came from another site's page, {origin}; open the dashboard at the address under which you want to use it. "
    "Behind a reverse proxy, let it pass on the Host header"
)


def protect(app: Flask) -> None:
    """Refuse what a browser says comes from another origin, unless it only reads.

    By Fetch Metadata and, where browsers do not send it, the origin (OWASP, Cross-Site Request Forgery Prevention Cheat
    Sheet). Programs such as Label Studio send neither and pass: nobody else's page can make them call.
    """

    @app.before_request
    def _check() -> Response | None:
        if request.method in _SAFE:
            return None
        site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
        if site is not None:
            from_here = site in _FROM_HERE
        else:
            from_here = origin is None or urlsplit(origin).netloc == request.host
        return None if from_here else answer(403, _REFUSAL.format(origin=origin or "unnamed"))

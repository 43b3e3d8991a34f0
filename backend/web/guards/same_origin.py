"""Protection against cross-site request forgery: pages of other sites cannot act for a signed-in user."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Flask, Response, request

from backend.web.error_responses import answer

_SAFE = {"GET", "HEAD", "OPTIONS"}
_FROM_HERE = {"same-origin", "none"}
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}  # browsers leave them out, proxies may not
_REFUSAL = (
    "Refused: the request comes from a page of another site ({origin}). Open the dashboard at its own address. "
    "A reverse proxy must forward the Host header"
)


def protect(app: Flask) -> None:
    """Refuse requests from other origins, unless they only read.

    By Fetch Metadata and, for browsers that do not send it, the Origin header (OWASP, Cross-Site Request Forgery
    Prevention Cheat Sheet). Programs such as Label Studio send neither and are accepted: no page can make them call.
    """

    @app.before_request
    def _check() -> Response | None:
        if request.method in _SAFE:
            return None
        site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
        if site is not None:
            from_here = site in _FROM_HERE
        else:
            from_here = origin is None or _is_here(origin, request.headers.get("Host", ""))
        return None if from_here else answer(403, _REFUSAL.format(origin=origin or "unknown"))


def _is_here(origin: str, host: str) -> bool:
    """Whether the page of an `Origin` header has the name and port of a `Host` header.

    Of the header itself: werkzeug's `request.host` is empty for names with underscores, as `null` is as an origin.
    """
    try:
        page = urlsplit(origin)
    except ValueError:  # a bracket without an IPv6 address
        return False
    port = _DEFAULT_PORTS.get(page.scheme, "")
    return bool(page.netloc) and page.netloc.lower().removesuffix(port) == host.lower().removesuffix(port)

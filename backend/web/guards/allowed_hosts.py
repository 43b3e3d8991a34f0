"""Protection against DNS rebinding: without a password, only known names of this server are accepted as `Host`.

A page of another site can point its own name at this server's address. The browser then takes both for one site and
lets the page read the answers. The `Host` header still has that name (OWASP, Testing for Host Header Injection).
"""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from flask import Flask, Response, request

from backend.settings import Settings
from backend.web.error_responses import answer


def protect(app: Flask, settings: Settings) -> None:
    """Accept localhost, IP addresses and `ALLOWED_HOSTS`; every name if a password is required."""
    if settings.basic_auth is not None:
        return
    allowed = {name.strip().lower() for name in (settings.allowed_hosts or "").split(",")} - {""}

    @app.before_request
    def _check() -> Response | None:
        name = _name(request.headers.get("Host", ""))
        if name in allowed or name == "localhost" or name.endswith(".localhost") or _is_address(name):
            return None
        return answer(
            403,
            f"Refused: this backend has no password and does not know the name '{name[:100]}'. Set BASIC_AUTH_USER and "
            "BASIC_AUTH_PASS, or add the name to ALLOWED_HOSTS",
        )


def _name(host: str) -> str:
    """The name in a `Host` header, without its port."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:  # a bracket without an IPv6 address
        return ""


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True

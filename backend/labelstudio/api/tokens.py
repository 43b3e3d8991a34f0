"""Authentication to Label Studio by a legacy token or a personal access token (PAT)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from typing import Any

import httpx
import jwt

from backend.labelstudio.api.refusals import RefusedCallError

_LIFETIME = 300.0  # seconds that an access token is valid; Label Studio has no setting for it
_MARGIN = 30.0  # seconds before expiry at which an access token is replaced


def authentication(url: str, api_key: str, clock: Callable[[], float]) -> httpx.Auth:
    """The authentication for an API key: a JWT is a PAT, anything else is a legacy token.

    url: address of Label Studio, with a slash at the end. clock: seconds, monotonic.
    Raises `RefusedCallError` (401) if a PAT has expired or has no expiry time.
    """
    claims = read_claims(api_key)
    if claims is None:
        return _LegacyToken(api_key)
    expires = claims.get("exp")
    if not isinstance(expires, int | float):
        raise RefusedCallError(401, "API key has no expiry time")
    if expires < time.time():
        raise RefusedCallError(401, "API key has expired")
    return _PersonalAccessToken(f"{url}api/token/refresh/", api_key, clock)


def read_claims(token: str) -> dict[str, Any] | None:
    """The claims of a JWT, with its signature unchecked. None if `token` is no JWT."""
    try:
        return jwt.decode(token, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        return None


class _LegacyToken(httpx.Auth):
    def __init__(self, api_key: str) -> None:
        self._api_key = api_key

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = f"Token {self._api_key}"
        yield request


class _PersonalAccessToken(httpx.Auth):
    """Exchanges a PAT for access tokens, which all threads share.

    An access token is replaced shortly before it expires, and once when Label Studio answers 401: Label Studio rejects
    valid tokens after a change of its secret key. Lifetimes are measured from the exchange on, by a monotonic clock, so
    that Label Studio's clock may differ from this machine's.
    """

    def __init__(self, exchange_url: str, api_key: str, clock: Callable[[], float]) -> None:
        self._exchange_url, self._api_key, self._clock = exchange_url, api_key, clock
        self._lock = threading.Lock()  # held during an exchange: other threads wait for its token
        self._access: str | None = None
        self._replace_at = 0.0

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send the request; after a 401 send it again with a new token. A failed exchange becomes its response."""
        refused: str | None = None
        for _ in range(2):
            with self._lock:
                if self._access in (None, refused) or self._clock() >= self._replace_at:
                    sent_at = self._clock()
                    response = yield self._exchange(request)
                    if response.status_code >= 400:
                        return
                    response.read()
                    self._access = _access_token(response.json())
                    self._replace_at = sent_at + _LIFETIME - _MARGIN
                access = self._access
            request.headers["Authorization"] = f"Bearer {access}"
            response = yield request
            if response.status_code != 401:
                return
            refused = access

    def _exchange(self, request: httpx.Request) -> httpx.Request:
        """The request for an access token, with the timeouts of `request`: httpx adds none here."""
        headers = {"User-Agent": request.headers["User-Agent"]}
        body = {"refresh": self._api_key}
        return httpx.Request("POST", self._exchange_url, headers=headers, json=body, extensions=request.extensions)


def _access_token(answer: Any) -> str:
    if not isinstance(access := answer["access"], str):
        raise TypeError(f"the access token is of type {type(access).__name__}")
    return access

"""HTTP to one Label Studio: redirects within its host only, and repetition of calls that may succeed later."""

from __future__ import annotations

import random
import ssl
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any, NamedTuple

import httpx

from backend import __version__
from backend.backoff import delay
from backend.errors import LabelStudioError

_REPETITIONS = 2
_FIRST_PAUSE = 1.0  # seconds before the first repetition; doubled before the second
_LONGEST_PAUSE = 60.0  # seconds, also where Label Studio requests more


def pause(seconds: float) -> None:
    """Wait `seconds` and up to 20 % more, so that several processes do not repeat their calls at the same moment."""
    time.sleep(seconds * random.uniform(1.0, 1.2))  # no secret  # noqa: S311  # nosec B311


class TooLargeError(Exception):
    """The response is larger than the caller can take."""


class Answer(NamedTuple):
    """A response with its whole body."""

    status: int
    headers: httpx.Headers
    body: bytes


class Transport:
    """Sends requests to the Label Studio at `url`, which ends with a slash. Safe to share between threads.

    timeout: seconds, for connecting, sending and each part of the response. sleep: waits this many seconds.
    """

    def __init__(self, url: str, auth: httpx.Auth, timeout: float, sleep: Callable[[float], None]) -> None:
        self._url, self._sleep = url, sleep
        self._http = _http_client(url, timeout, auth)

    def send(
        self, method: str, path: str, *, before: Callable[[], None], most: int | None = None, **arguments: Any
    ) -> Answer:
        """The response, of any status. `before` is called before each attempt and may raise.

        Attempts are repeated up to twice after a lost connection and after the statuses 408, 409, 429 and 500 or more.
        Raises `httpx.HTTPError` without a response, `LabelStudioError` for a redirect to another host, `TooLargeError`
        for a body of more than `most` bytes.
        """
        failures = 0
        while True:
            before()
            failures += 1
            seconds = delay(failures, _FIRST_PAUSE, _LONGEST_PAUSE)
            try:
                response = self._receive(method, path, most, arguments)
            except (httpx.ConnectError, httpx.RemoteProtocolError):
                if failures > _REPETITIONS:
                    raise
            else:
                if failures > _REPETITIONS or not _may_pass(response.status):
                    return response
                seconds = _requested_pause(response) or seconds
            self._sleep(seconds)

    def _receive(self, method: str, path: str, most: int | None, arguments: dict[str, Any]) -> Answer:
        body = bytearray()
        with self._http.stream(method, self._url + path, **arguments) as response:
            for part in response.iter_bytes():
                body += part
                if most is not None and len(body) > most:
                    raise TooLargeError
        return Answer(response.status_code, response.headers, bytes(body))


def _may_pass(status: int) -> bool:
    return status >= 500 or status in (408, 409, 429)


def _requested_pause(response: Answer) -> float:
    """Seconds from the header `Retry-After`, at most `_LONGEST_PAUSE`; 0 if it is missing, unreadable or past."""
    value = response.headers.get("retry-after", "").strip()
    try:
        seconds = float(value) if value.isdecimal() else parsedate_to_datetime(value).timestamp() - time.time()
    except (ValueError, OverflowError):
        return 0.0
    return min(max(seconds, 0.0), _LONGEST_PAUSE)


def _http_client(url: str, timeout: float, auth: httpx.Auth) -> httpx.Client:
    """A client that follows redirects within the host of `url` only: requests carry the API key, some in the body."""
    own = httpx.URL(url)

    def guard(request: httpx.Request) -> None:
        to = request.url
        secured = (own.scheme, to.scheme) == ("http", "https")  # upgrade to https, on another port
        if to.host != own.host or (to.port != own.port and not secured) or (own.scheme == "https" != to.scheme):
            raise LabelStudioError(
                f"{url} redirects to {to.scheme}://{to.netloc.decode()}, where the API key was not sent; set "
                "LABEL_STUDIO_URL to that address if it is Label Studio's"
            )

    return httpx.Client(
        verify=_trusted(),
        timeout=timeout,
        follow_redirects=True,
        auth=auth,
        headers={"User-Agent": f"label-studio-active-learning/{__version__}"},
        event_hooks={"request": [guard]},
    )


@cache
def _trusted() -> ssl.SSLContext:
    """The authorities that HTTPS trusts, read once: that takes 30 ms of computing, and each round has a client."""
    return httpx.create_ssl_context()

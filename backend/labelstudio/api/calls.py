"""Requests to Label Studio's API, and what their failures mean."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Self

import httpx

from backend.errors import LabelStudioError
from backend.labelstudio.api.refusals import RefusedCallError, reason, unreachable
from backend.labelstudio.api.tokens import authentication
from backend.labelstudio.api.transport import Transport, pause


def _allow() -> None:
    """No check."""


class Api:
    """One Label Studio and one API key: a personal access token or a legacy token. Safe to share between threads.

    timeout: seconds. clock: seconds, monotonic. sleep: waits this many seconds.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        timeout: float = 120.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = pause,
    ) -> None:
        self.url = url
        self._before_writing: Callable[[], None] = _allow
        base = url.rstrip("/") + "/"
        with self.explaining("accept the API key"):
            self._transport = Transport(base, authentication(base, api_key, clock), timeout, sleep)

    def guarded(self, check: Callable[[], None]) -> Self:
        """A copy that calls `check`, which may raise, before every attempt to change something in Label Studio."""
        other = copy(self)
        other._before_writing = check
        return other

    def now(self) -> datetime:
        """The time by Label Studio's clock, up to a second behind."""
        with self.explaining("report its time"):
            response = self._transport.send("GET", "health", before=_allow)
            return parsedate_to_datetime(response.headers["date"])

    def request(self, method: str, path: str, **arguments: Any) -> Any:
        """The decoded JSON of a response; None if it has no body.

        arguments: `params` and `json`, as httpx takes them, and `most`, the largest body in bytes.
        Raises `RefusedCallError` for a status of 400 or more, `httpx.HTTPError` without a response, `TooLargeError`.
        """
        before = _allow if method == "GET" else self._before_writing
        response = self._transport.send(method, path, before=before, **arguments)
        if response.status >= 400:
            raise RefusedCallError(response.status, response.body.decode("utf-8", "replace"))
        try:
            return json.loads(response.body) if response.body else None
        except ValueError:
            raise LabelStudioError(
                f"{self.url} answered '{path}' with no JSON; is there a sign-in page in front of Label Studio?"
            ) from None

    @contextmanager
    def explaining(self, doing: str) -> Iterator[None]:
        """Turn the exceptions of a call into a `LabelStudioError` that names the call, the cause and the remedy."""
        try:
            yield
        except RefusedCallError as error:
            raise LabelStudioError(f"Label Studio refused to {doing}: {reason(error)}", error.status) from None
        except httpx.HTTPError as error:
            raise LabelStudioError(unreachable(self.url, error)) from None
        except (ValueError, KeyError, TypeError) as error:
            raise LabelStudioError(
                f"Label Studio gave an answer that cannot be read ({type(error).__name__}) to a request to {doing}; "
                "if this persists, check the proxy in front of it"
            ) from None

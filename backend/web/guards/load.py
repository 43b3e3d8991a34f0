"""Bounds on the work of one web process: calls of `/predict` at a time, and the size of bodies.

A body of JSON takes up to 30 times its size once it is parsed, so places are taken before that.
"""

from __future__ import annotations

import re
import threading

from flask import Flask, Response, request

from backend.runtime.web_server import WAITING
from backend.settings import LARGE
from backend.web.error_responses import answer

_PREDICT = "ml.predict"
_SEARCHES = ("api.find", "api.duplicates_", "dashboard.find")  # read all embeddings of a project
_MOST_VALUES = 1_000_000  # objects and lists in a body
_HELD = "lsal.places"  # in the request's environment: the places that it has taken
_PATIENCE = 20.0  # seconds that a call waits for a place
_AGAIN = 5  # seconds, for the header Retry-After
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)


def protect(app: Flask, places: int) -> None:
    """Answer 503 to calls of `/predict` and to searches that find no place in time.

    Register after the checks that refuse callers.
    """
    all_places, large_places = threading.BoundedSemaphore(places), threading.BoundedSemaphore(1)
    search_place = threading.BoundedSemaphore(1)
    waiting = threading.BoundedSemaphore(WAITING)

    def take(place: threading.BoundedSemaphore) -> bool:
        if place.acquire(blocking=False):
            return True
        if not waiting.acquire(blocking=False):
            return False
        try:
            return place.acquire(timeout=_PATIENCE)
        finally:
            waiting.release()

    def busy(what: str) -> Response:
        refusal = answer(503, f"{what} at the moment; repeat the call in {_AGAIN} seconds")
        refusal.headers["Retry-After"] = str(_AGAIN)
        return refusal

    @app.before_request
    def _enter() -> Response | None:
        if request.endpoint in _SEARCHES:
            if not search_place.acquire(timeout=_PATIENCE):
                return busy("another search runs")
            request.environ[_HELD] = [search_place]
        if request.endpoint != _PREDICT:
            request.max_content_length = min(LARGE, app.config["MAX_CONTENT_LENGTH"])
            return None
        held = request.environ[_HELD] = []
        large = (request.content_length or 0) > LARGE
        for each in [all_places, large_places] if large else [all_places]:
            if not take(each):
                what = f"{places} predictions run" if each is all_places else "another large prediction runs"
                return busy(what)
            held.append(each)
        body = request.get_data()
        if _values(body) > _MOST_VALUES and _values(_STRING.sub(b"", body)) > _MOST_VALUES:
            return answer(413, f"The body has more than {_MOST_VALUES} objects and lists; send fewer tasks")
        return None

    @app.teardown_request
    def _leave(_error: BaseException | None) -> None:
        for each in request.environ.get(_HELD, []):
            each.release()


def _values(body: bytes) -> int:
    return body.count(b"{") + body.count(b"[")

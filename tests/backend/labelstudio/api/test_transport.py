"""Redirects, repetitions, timeouts and fencing, against servers that listen on a port."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from backend.errors import FencedError, LabelStudioError
from backend.labelstudio.api.client import Client
from tests.backend.labelstudio.site import Site, token
from tests.servers import free_port


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("key", ["legacy", "personal"])
def test_no_other_host_is_sent_the_key(sites: tuple[Site, Site], status: int, key: str) -> None:
    ours, other = sites
    ours.answer = lambda _, path, __: (status, {"Location": other.url + path}, {})
    client = Client(ours.url, "a-legacy-token" if key == "legacy" else token("refresh"))
    with pytest.raises(LabelStudioError, match=r"redirects to .*where the API key was not sent"):
        client.project(1)
    assert len(ours.requests) == 1
    assert other.requests == []


def test_redirects_within_the_host_are_followed(sites: tuple[Site, Site]) -> None:
    ours, _ = sites

    def answer(_: str, path: str, __: Any) -> Any:
        return (200, {}, {"email": "x"}) if path.startswith("/new") else (307, {"Location": "/new" + path}, {})

    ours.answer = answer
    assert Client(ours.url, "a-legacy-token").request("GET", "api/current-user/whoami") == {"email": "x"}


@pytest.mark.parametrize("body", [b"<html>sign in</html>", b'{"tasks": [', b"[]", b"null", b'{"other": "x"}', b"7"])
def test_answers_that_make_no_sense_are_said_to_make_none(sites: tuple[Site, Site], body: bytes) -> None:
    ours, _ = sites
    ours.answer = lambda *_: (200, {}, body)
    client = Client(ours.url, "a-legacy-token")
    for call in (
        lambda: list(client.new_tasks(1, 0)),
        lambda: client.versions(1),
        lambda: client.project(1),
        lambda: client.exists(1),
        lambda: client.import_predictions(1, [{}], one_by_one=False),
    ):
        with pytest.raises(LabelStudioError, match=r"Label Studio|answered"):
            call()


@pytest.mark.parametrize("status", [408, 409, 429, 500, 503])
def test_a_failure_that_may_pass_is_repeated_twice(site: Site, status: int) -> None:
    waits: list[float] = []
    answers = iter([(status, {}, {}), (status, {}, {}), (200, {}, {"n": 1})])
    site.answer = lambda *_: next(answers)
    assert Client(site.url, "a-legacy-token", sleep=waits.append).request("POST", "api/a", json=[1]) == {"n": 1}
    assert [body for _, _, _, body in site.requests] == ["[1]", "[1]", "[1]"]
    assert waits == [1.0, 2.0]


def test_after_two_repetitions_the_failure_is_reported(site: Site) -> None:
    site.answer = lambda *_: (503, {}, {})
    with pytest.raises(LabelStudioError, match="status 503") as raised:
        Client(site.url, "a-legacy-token", sleep=lambda _: None).project(1)
    assert (len(site.requests), raised.value.status, raised.value.passing) == (3, 503, True)


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_refusal_is_not_repeated(site: Site, status: int) -> None:
    site.answer = lambda *_: (status, {}, {})
    with pytest.raises(LabelStudioError, match=str(status)) as raised:
        Client(site.url, "a-legacy-token").project(1)
    assert (len(site.requests), raised.value.status, raised.value.passing) == (1, status, False)


def test_a_connection_that_breaks_is_tried_again(site: Site) -> None:
    waits: list[float] = []
    answers = iter([None, (200, {}, {"n": 1})])
    site.answer = lambda *_: next(answers)
    assert Client(site.url, "a-legacy-token", sleep=waits.append).request("GET", "api/a") == {"n": 1}
    assert waits == [1.0]


def test_a_server_that_is_gone_is_tried_three_times() -> None:
    waits: list[float] = []
    with pytest.raises(LabelStudioError, match=r"cannot be reached \(ConnectError\)") as raised:
        Client(f"http://127.0.0.1:{free_port()}", "a-legacy-token", sleep=waits.append).project(1)
    assert (waits, raised.value.passing) == ([1.0, 2.0], True)


def test_a_call_without_a_response_ends_at_the_timeout(site: Site) -> None:
    gone = threading.Event()
    site.answer = lambda *_: gone.wait(30) and None
    with pytest.raises(LabelStudioError, match=r"cannot be reached \(ReadTimeout\)"):
        Client(site.url, "a-legacy-token", timeout=0.2).project(1)
    gone.set()
    assert len(site.requests) == 1


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("3600", 60.0),
        ("0", 1.0),
        pytest.param(format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True), 60.0, id="in an hour"),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 1.0),
        ("soon", 1.0),
    ],
)
def test_retry_after_is_followed_up_to_a_minute(site: Site, header: str, seconds: float) -> None:
    waits: list[float] = []
    answers = iter([(429, {"Retry-After": header}, {}), (200, {}, {})])
    site.answer = lambda *_: next(answers)
    Client(site.url, "a-legacy-token", sleep=waits.append).request("GET", "api/a")
    assert waits == [seconds]


def test_a_process_that_is_given_up_writes_nothing_more(site: Site) -> None:
    given_up: list[bool] = []

    def check() -> None:
        if given_up:
            raise FencedError

    def answer(*_: Any) -> Any:
        given_up.append(True)  # while the first attempt is on its way
        return 503, {}, {}

    site.answer = answer
    client = Client(site.url, "a-legacy-token", sleep=lambda _: None)
    with pytest.raises(FencedError):
        client.guarded(check).request("POST", "api/a")
    assert len(site.requests) == 1
    with pytest.raises(LabelStudioError, match="status 503"):
        client.guarded(check).project(1)  # reading is allowed


def test_pages_of_large_tasks_are_read_in_smaller_ones(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.labelstudio.api.client._MOST_BYTES", 20_000)
    pool = [{"id": n, "data": {"text": "x" * (1500 if n <= 100 else 30_000 if n == 101 else 1)}, "updated_at": ""}
            for n in range(1, 1302)]  # fmt: skip
    sizes = []

    def answer(_: str, path: str, __: Any) -> Any:
        query = parse_qs(urlsplit(path).query)
        after = json.loads(query["query"][0])["filters"]["items"][-1]["value"]
        size = int(query["page_size"][0])
        sizes.append(size)
        return 200, {}, {"tasks": [task for task in pool if task["id"] > after][:size]}

    site.answer = answer
    read = [task.id for page in Client(site.url, "a-legacy-token").new_tasks(1, 0) for task in page]
    assert read == [task["id"] for task in pool]
    assert sizes[:5] == [1000, 250, 62, 15, 3]
    assert 1 in sizes  # the task that is larger than a page may be
    assert max(sizes[-5:]) >= 62  # small tasks follow

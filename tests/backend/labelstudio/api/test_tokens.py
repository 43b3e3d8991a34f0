"""Authentication: legacy tokens as they are, personal access tokens exchanged for access tokens of five minutes."""

from __future__ import annotations

import json
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from backend.errors import LabelStudioError
from backend.labelstudio.api.client import Client
from tests.backend.labelstudio.site import Site, token

EXCHANGE = "/api/token/refresh/"


class Tokens:
    """Label Studio's side: hands out access tokens and accepts the newest one only."""

    def __init__(self, site: Site) -> None:
        self.key = token("refresh")
        self.given: list[str] = []
        self.revoked: set[str] = set()
        site.answer = self.answer

    def answer(self, _: str, path: str, headers: dict[str, str]) -> Any:
        if path.endswith(EXCHANGE):
            self.given.append(token("access", len(self.given) + 1))
            return 200, {}, {"access": self.given[-1]}
        bearer = headers["Authorization"].removeprefix("Bearer ")
        good = bearer in self.given and bearer not in self.revoked
        return (200, {}, {"n": 1}) if good else (401, {}, {"detail": "Token is invalid"})


@pytest.fixture
def tokens(site: Site) -> Tokens:
    return Tokens(site)


def test_a_legacy_token_is_sent_as_it_is(site: Site) -> None:
    Client(site.url, "a-legacy-token").request("GET", "api/a")
    assert site.requests[0][2]["Authorization"] == "Token a-legacy-token"
    assert site.paths == ["/api/a"]


def test_a_personal_token_is_exchanged_once(site: Site, tokens: Tokens) -> None:
    client = Client(site.url, tokens.key)
    assert site.paths == []
    assert client.request("GET", "api/a") == client.guarded(lambda: None).request("POST", "api/b") == {"n": 1}
    assert site.paths == [EXCHANGE, "/api/a", "/api/b"]
    method, _, headers, body = site.requests[0]
    assert (method, json.loads(body), "Authorization" in headers) == ("POST", {"refresh": tokens.key}, False)
    assert site.requests[1][2]["Authorization"] == f"Bearer {tokens.given[0]}"


@pytest.mark.parametrize("path", ["/labels", "/labels/"])
def test_the_exchange_lies_below_label_studios_path(site: Site, tokens: Tokens, path: str) -> None:
    Client(site.url + path, tokens.key).request("GET", "api/a")
    assert site.paths == ["/labels" + EXCHANGE, "/labels/api/a"]


def test_an_access_token_is_replaced_before_it_expires(site: Site, tokens: Tokens) -> None:
    now = 0.0
    client = Client(site.url, tokens.key, clock=lambda: now)
    for now in (0.0, 265.0, 275.0, 535.0):  # noqa: B007 (the clock reads it)
        client.request("GET", "api/a")
    assert site.paths == [EXCHANGE, "/api/a", "/api/a", EXCHANGE, "/api/a", "/api/a"]


@pytest.mark.parametrize("ahead", [-3600, 3600])
def test_clocks_that_differ_cause_no_further_exchange(site: Site, ahead: int) -> None:
    issued = int(time.time()) + ahead
    access = token("access", iat=issued, exp=issued + 300)
    site.answer = lambda _, path, __: (200, {}, {"access": access} if path == EXCHANGE else {"n": 1})
    client = Client(site.url, token("refresh"))
    assert [client.request("GET", "api/a") for _ in range(2)] == [{"n": 1}, {"n": 1}]
    assert site.paths == [EXCHANGE, "/api/a", "/api/a"]


def test_a_token_that_is_refused_early_is_replaced_once(site: Site, tokens: Tokens) -> None:
    client = Client(site.url, tokens.key)
    client.request("GET", "api/a")
    tokens.revoked.add(tokens.given[0])
    assert client.request("POST", "api/b", json=[1]) == {"n": 1}
    assert client.request("GET", "api/c") == {"n": 1}
    assert site.paths == [EXCHANGE, "/api/a", "/api/b", EXCHANGE, "/api/b", "/api/c"]
    assert [body for _, path, _, body in site.requests if path == "/api/b"] == ["[1]", "[1]"]


def test_a_second_401_is_final(site: Site, tokens: Tokens) -> None:
    site.answer = lambda _, path, __: (200, {}, {"access": "x"}) if path == EXCHANGE else (401, {}, {"detail": "no"})
    with pytest.raises(LabelStudioError, match=r"the API key is not accepted \(401\)") as raised:
        Client(site.url, tokens.key).project(1)
    assert site.paths == [EXCHANGE, "/api/projects/1/", EXCHANGE, "/api/projects/1/"]
    assert (raised.value.status, raised.value.passing) == (401, False)


def test_threads_share_one_exchange(site: Site, tokens: Tokens) -> None:
    client = Client(site.url, tokens.key)
    start = threading.Barrier(8)

    def call(path: str) -> Any:
        start.wait()
        return client.request("GET", path)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(call, ["api/a"] * 8)) == [{"n": 1}] * 8
        assert len(tokens.given) == 1
        tokens.revoked.add(tokens.given[0])
        assert list(pool.map(call, ["api/b"] * 8)) == [{"n": 1}] * 8
    assert len(tokens.given) == 2


def test_a_failed_exchange_blocks_no_other_thread(site: Site, tokens: Tokens) -> None:
    site.answer = lambda *_: (401, {}, {"detail": "Token is blacklisted"})
    client = Client(site.url, tokens.key)
    with ThreadPoolExecutor(4) as pool:
        results = [pool.submit(client.project, 1) for _ in range(4)]
        assert all(isinstance(result.exception(timeout=300), LabelStudioError) for result in results)
    site.answer = tokens.answer
    assert client.request("GET", "api/a") == {"n": 1}


@pytest.mark.parametrize("key", ["a-legacy-token", token("refresh"), token("access")])
def test_a_key_that_is_refused_is_named(site: Site, key: str) -> None:
    site.answer = lambda *_: (401, {}, {"detail": "Token is blacklisted"})
    with pytest.raises(LabelStudioError, match=r"the API key is not accepted \(401\)") as raised:
        Client(site.url, key).project(1)
    assert (len(site.requests), raised.value.passing) == (1, False)


def test_an_expired_key_is_named_before_any_call(site: Site) -> None:
    with pytest.raises(LabelStudioError, match=r"the personal access token has expired \(401\)") as raised:
        Client(site.url, token("refresh", exp=int(time.time()) - 1))
    assert (raised.value.status, site.requests) == (401, [])


def test_a_key_without_an_expiry_time_is_refused(site: Site) -> None:
    with pytest.raises(LabelStudioError, match=r"the API key is not accepted \(401\)"):
        Client(site.url, token("refresh", exp=None))
    assert site.requests == []


def test_an_exchange_that_may_succeed_later_is_repeated(site: Site, tokens: Tokens) -> None:
    failures = iter([(503, {}, b"<html>starting</html>"), None])

    def answer(*request: Any) -> Any:
        return next(failures) if len(site.requests) <= 2 else tokens.answer(*request)

    site.answer = answer
    assert Client(site.url, tokens.key, sleep=lambda _: None).request("GET", "api/a") == {"n": 1}
    assert site.paths == [EXCHANGE, EXCHANGE, EXCHANGE, "/api/a"]


def test_an_exchange_without_a_response_ends_at_the_timeout(site: Site) -> None:
    gone = threading.Event()
    site.answer = lambda *_: gone.wait(30) and None
    client = Client(site.url, token("refresh"), timeout=0.2)
    with pytest.raises(LabelStudioError, match=r"cannot be reached \(ReadTimeout\)"):
        client.project(1)
    gone.set()
    assert site.paths == [EXCHANGE]


@pytest.mark.parametrize("body", [b"<html>sign in</html>", b"[]", b"null", b'{"other": "x"}', b'{"access": null}'])
def test_an_exchange_that_cannot_be_read_is_reported(site: Site, tokens: Tokens, body: bytes) -> None:
    site.answer = lambda *_: (200, {}, body)
    with pytest.raises(LabelStudioError, match="cannot be read"):
        Client(site.url, tokens.key).project(1)
    assert site.paths == [EXCHANGE]


def test_no_log_line_holds_a_token(site: Site, tokens: Tokens, caplog: pytest.LogCaptureFixture) -> None:
    # Other tests of this process may have set up the backend's log, which quiets httpx.
    with caplog.at_level(logging.DEBUG), caplog.at_level(logging.DEBUG, "httpx"):
        client = Client(site.url, tokens.key)
        client.request("GET", "api/a")
        tokens.revoked.add(tokens.given[0])
        client.request("GET", "api/a")
        with pytest.raises(LabelStudioError):
            Client(site.url, "a-legacy-token").project(1)
    assert caplog.records, "httpx logs its requests"
    held = caplog.text + repr(vars(client))
    assert not [each for each in (tokens.key, *tokens.given, "a-legacy-token") if each in held]

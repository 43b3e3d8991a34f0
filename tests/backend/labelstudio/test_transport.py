"""Our API key goes to one host, and a token that is refused is renewed. Against servers that really listen."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler
from typing import Any

import jwt
import pytest

from backend.errors import LabelStudioError
from backend.labelstudio.client import Client
from tests.servers import http_server


class Site:
    """A server that notes what it is asked, and answers with what `answer` gives: status, headers, body."""

    def __init__(self, stack: ExitStack) -> None:
        self.asked: list[tuple[str, str, dict[str, str], str]] = []
        self.answer: Any = lambda *_: (200, {}, {})
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                site.asked.append((self.command, self.path, dict(self.headers.items()), body))
                status, headers, answer = site.answer(self.command, self.path, dict(self.headers.items()))
                content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                for name, value in {"Content-Length": str(len(content)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815

            def log_message(self, *_: Any) -> None:
                pass

        self.url = stack.enter_context(http_server(Handler))


@pytest.fixture
def sites() -> Iterator[tuple[Site, Site]]:
    with ExitStack() as stack:
        yield Site(stack), Site(stack)


def token(kind: str, number: int = 0) -> str:
    claims = {"token_type": kind, "exp": int(time.time()) + 3600, "jti": str(number)}
    return jwt.encode(claims, "a secret of enough bytes for the algorithm", algorithm="HS256")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("key", ["legacy", "personal"])
def test_no_other_host_is_sent_the_key(sites: tuple[Site, Site], status: int, key: str) -> None:
    ours, other = sites
    ours.answer = lambda _, path, __: (status, {"Location": other.url + path}, {})
    client = Client(ours.url, "a-legacy-token" if key == "legacy" else token("refresh"))
    with pytest.raises(LabelStudioError, match=r"redirects to .*where the API key was not sent"):
        client.project(1)
    assert len(ours.asked) == 1
    assert other.asked == []


def test_redirects_within_the_host_are_followed(sites: tuple[Site, Site]) -> None:
    ours, _ = sites

    def answer(_: str, path: str, __: Any) -> Any:
        return (200, {}, {"email": "x"}) if path.startswith("/new") else (307, {"Location": "/new" + path}, {})

    ours.answer = answer
    assert Client(ours.url, "a-legacy-token").request("GET", "api/current-user/whoami") == {"email": "x"}


def test_a_token_that_is_refused_in_the_middle_is_renewed_once(sites: tuple[Site, Site]) -> None:
    ours, _ = sites
    given = [token("access", 1), token("access", 2)]
    good = {given[0]}

    def answer(_: str, path: str, headers: dict[str, str]) -> Any:
        if path == "/api/token/refresh/":
            return 200, {}, {"access": given[len([a for a in ours.asked if a[1] == path]) - 1]}
        bearer = headers["Authorization"].removeprefix("Bearer ")
        return (200, {}, {"n": 1}) if bearer in good else (401, {}, {"detail": "Token is invalid"})

    ours.answer = answer
    client = Client(ours.url, token("refresh"))
    assert client.request("GET", "api/a") == {"n": 1}
    good.clear()
    good.add(given[1])  # revoked, or expired by Label Studio's clock
    assert client.request("POST", "api/b", json=[1]) == {"n": 1}
    assert client.request("GET", "api/c") == {"n": 1}
    paths = [path for _, path, _, _ in ours.asked]
    assert paths == ["/api/token/refresh/", "/api/a", "/api/b", "/api/token/refresh/", "/api/b", "/api/c"]
    assert [body for _, path, _, body in ours.asked if path == "/api/b"] == ["[1]", "[1]"]


def test_a_key_that_is_dead_is_said_to_be(sites: tuple[Site, Site]) -> None:
    ours, _ = sites
    ours.answer = lambda *_: (401, {}, {"detail": "Token is blacklisted"})
    for key in ("a-legacy-token", token("refresh")):
        with pytest.raises(LabelStudioError, match=r"the API key is not accepted \(401\)"):
            Client(ours.url, key).project(1)


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

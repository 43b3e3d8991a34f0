"""A small HTTP server in place of Label Studio."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler
from typing import Any

import jwt

from tests.servers import http_server


class Site:
    """Records requests as (method, path, headers, body) and sends what `answer` returns: status, headers, body."""

    def __init__(self, stack: ExitStack) -> None:
        self.requests: list[tuple[str, str, dict[str, str], str]] = []
        self.answer: Any = lambda *_: (200, {}, {})
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                site.requests.append((self.command, self.path, dict(self.headers.items()), body))
                answer = site.answer(self.command, self.path, dict(self.headers.items()))
                if answer is None:  # close the connection without a response
                    return
                status, headers, content = answer
                content = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                for name, value in {"Content-Length": str(len(content)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815

            def log_message(self, *_: Any) -> None:
                pass

        self.url = stack.enter_context(http_server(Handler))

    @property
    def paths(self) -> list[str]:
        """The paths of all requests, in order of arrival."""
        return [path for _, path, _, _ in self.requests]


def token(kind: str, number: int = 0, **claims: Any) -> str:
    """A signed token of this `token_type`, valid for an hour unless `claims` say otherwise."""
    claims = {"token_type": kind, "exp": int(time.time()) + 3600, "jti": str(number), **claims}
    return jwt.encode(claims, "a secret of enough bytes for the algorithm", algorithm="HS256")

"""Between the backend and Label Studio: passes everything on, and now and then does not."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler
from typing import Any, Self

import httpx

from tests.label_studio.faults.worker import plain
from tests.servers import http_server

KINDS = ("gone", "slow", "401", "403", "404", "429", "500", "truncated", "sign-in page")
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-encoding", "content-length", "server", "date"}


class FaultyProxy:
    """`strike(kind)`: from now on each different call meets this fault once, the first time that it is made."""

    def __init__(self, behind: str) -> None:
        self.behind = behind
        self.slowness = 3.0
        self.down = False
        self.seen: list[str] = []
        self.struck: list[str] = []
        self._kind: str | None = None
        self._lock = threading.Lock()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                kind = proxy._fault(plain(self.command, self.path.partition("?")[0]))
                if kind == "gone":
                    self.close_connection = True
                    return
                if kind == "slow":
                    time.sleep(proxy.slowness)
                elif kind == "sign-in page":
                    self._answer(200, b"<html>Please sign in</html>", {"Content-Type": "text/html"})
                    return
                elif kind is not None and kind.isdigit():
                    self._answer(int(kind), b'{"detail": "a fault of the test"}', {"Content-Type": "application/json"})
                    return
                headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
                answer = proxy._http.request(self.command, proxy.behind + self.path, headers=headers, content=body)
                content = answer.content[: len(answer.content) // 2] if kind == "truncated" else answer.content
                passed_on = {name: value for name, value in answer.headers.items() if name not in _HOP_BY_HOP}
                self._answer(answer.status_code, content, passed_on, date=answer.headers.get("date"))

            do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815

            def _answer(self, status: int, content: bytes, headers: dict[str, str], date: str | None = None) -> None:
                self.send_response_only(status)
                for name, value in {**headers, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.send_header("Date", date or self.date_time_string())
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        self._http = self._stack.enter_context(httpx.Client(timeout=300))
        self.url = self._stack.enter_context(http_server(Handler))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def strike(self, kind: str | None) -> None:
        with self._lock:
            self._kind, self.struck = kind, []

    def _fault(self, call: str) -> str | None:
        if "whoami" in call:  # the pulse's, which no round waits for
            return "gone" if self.down else None
        with self._lock:
            self.seen.append(call)
            if self.down:
                return "gone"
            if self._kind is None or call in self.struck:
                return None
            self.struck.append(call)
            return self._kind

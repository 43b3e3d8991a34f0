"""The web server beside slow, silent and half-sent requests, and how it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import psutil
import pytest
from waitress.adjustments import Adjustments

from backend.errors import BackendError, RefusedStartError
from backend.runtime.web_server import _Request, _tend, listen
from backend.settings import Settings
from backend.store.backup import restore
from tests.real import wait_for
from tests.servers import free_port

PROGRAM = """
import os, pathlib, time
from flask import Flask, request
from backend.runtime import logs, web_server
from backend.settings import Settings

logs.set_up("DEBUG")
app = Flask("slow")

@app.get("/health")
def health():
    return "up"

@app.post("/echo")
def echo():
    return {"bytes": len(request.get_data())}

@app.get("/slow")
def slow():
    pathlib.Path(os.environ["BEGUN"]).touch()
    time.sleep(1.5)
    return "x" * 5_000_000

settings = Settings()
web_server.run(app, web_server.listen(settings), settings)
"""
BUSY = """
import os, pathlib, time, uuid
from backend.app import create_app
from backend.learners.models.cache import BaseModels
from backend.runtime import web_server
from backend.settings import Settings
from backend.store import Store
from backend.web.serving import Serving

folder = pathlib.Path(os.environ["BEGUN"])
folder.mkdir()

def project(*_):
    (folder / uuid.uuid4().hex).touch()
    while not (folder / "end").exists():
        time.sleep(0.05)

Serving.project = project
settings = Settings()
store = Store(settings.model_dir)
store.database.migrate()
web_server.run(create_app(settings, store, Serving(store, BaseModels())), web_server.listen(settings), settings)
"""
HEAD = b"POST /echo HTTP/1.1\r\nHost: localhost\r\n"
HALVES = {"headers": HEAD, "body": HEAD + b"Content-Length: 1000\r\n\r\n{", "nothing": b""}


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    """A file that exists once a slow request is answered."""
    return tmp_path / "begun"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """What the server writes."""
    return tmp_path / "log.txt"


@contextmanager
def started(program: str, port: int, begun: Path, log: Path, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    environment = {"PORT": str(port), "BEGUN": str(begun), "PYTHONPATH": ":".join(sys.path), **more}
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-c", program], env=environment, stdout=file, stderr=subprocess.STDOUT
        )
    try:
        wait_for("the server", lambda: answers(port))
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def running(port: int, begun: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with started(PROGRAM, port, begun, log) as process:
        yield process


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", timeout=300).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("half", HALVES)
def test_half_sent_requests_hold_no_thread(port: int, half: str) -> None:
    with ExitStack() as stack:
        for _ in range(50):
            held = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            held.sendall(HALVES[half])
        assert answers(port)
        held.setblocking(False)
        with pytest.raises(BlockingIOError):  # still open: nothing was answered only after it was closed
            held.recv(1)


def test_others_are_answered_beside_slow_predictions_and_half_sent_requests(
    port: int, tmp_path: Path, begun: Path, log: Path
) -> None:
    url, places = f"http://127.0.0.1:{port}", 8
    event = {"action": "ANNOTATION_CREATED", "project": {"id": 7}}
    more = {"THREADS": str(places), "MODEL_DIR": str(tmp_path / "state")}
    with started(BUSY, port, begun, log, **more), ThreadPoolExecutor(places) as pool, ExitStack() as stack:
        tasks = {"project": 7, "tasks": [{"id": 1, "data": {"text": "x"}}]}
        slow = [pool.submit(httpx.post, f"{url}/predict", json=tasks, timeout=300) for _ in range(places)]
        try:
            wait_for("the predictions", lambda: len(list(begun.iterdir())) == places)
            for _ in range(9):
                held = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
                held.sendall(b"POST /webhook HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{")
            found = [httpx.get(f"{url}/{path}", timeout=300).status_code for path in ("health", "ready")]
            found.append(httpx.post(f"{url}/webhook", json=event, timeout=300).status_code)
            assert found == [200, 503, 200], "no worker runs, so that it is not ready"
            assert not any(each.done() for each in slow)
        finally:
            (begun / "end").touch()
        assert [each.result().status_code for each in slow] == [200] * places


@pytest.mark.usefixtures("running")
def test_a_body_in_two_parts(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as slow:
        slow.sendall(HALVES["body"])
        time.sleep(0.1)
        slow.sendall(b"x" * 999)
        answer = b""
        while b'{"bytes":1000}' not in answer:
            more = slow.recv(4096)
            assert more, answer
            answer += more


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize(
    ("request_line", "header", "answer"),
    [
        (b"POST /echo", b"Transfer-Encoding: chunked", b"400 Bad Request"),
        (b"POST /echo", b"Content-Length: 4194305", b"413 The body has more than 4 MB; send less"),
        (b"POST /x/predict", b"Content-Length: 70000000", b"413 The body has more than 64 MB; send fewer tasks"),
        (b"POST /echo", b"X: " + b"x" * 70_000, b"431 Request Header Fields Too Large"),
    ],
)
def test_what_is_refused_before_its_body_is_read(port: int, request_line: bytes, header: bytes, answer: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(request_line + b" HTTP/1.1\r\nHost: localhost\r\n" + header + b"\r\n\r\n")
        assert client.recv(4096)[9:].startswith(answer)
    assert answers(port)


@pytest.mark.usefixtures("running")
def test_the_log_has_nothing_of_requests_that_cannot_be_read(port: int, log: Path) -> None:
    head, body = b" HTTP/1.1\r\nHost: localhost\r\n", b'{"tasks":[{"data":{"text":"SECRET of a task"}}]}'
    for sent in (
        b"POST /echo" + head + b"Content-Length: 22\r\n\r\n" + body + b"\r\n\r\n",  # the rest is the next request
        b"GET /health" + head + b"Authorization Basic SECRET\r\n\r\n",
        b"GET /health" + head + b"Authorization: Basic SECRET\x00\r\n\r\n",
        b"SECRET LINE\r\n\r\n",
        b"GET /x?apikey=SECRET HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"GET /\r2026-01-01 00:00:00,000 ERROR backend: FORGED" + head + b"\r\n",
    ):
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)
            while client.recv(4096):
                pass
    assert answers(port)
    assert "SECRET" not in log.read_text()
    assert "FORGED" not in log.read_text()


def channel(received: int, began: float, content_length: int = 1000) -> Any:
    request = _Request(Adjustments())
    request.began, request.body_bytes_received, request.content_length = began, received, content_length
    return SimpleNamespace(request=request, will_close=False)


def test_late_requests_and_the_largest_of_too_many_are_closed() -> None:
    now = time.monotonic()
    late, slow, idle = channel(5, now - 61), channel(9, now - 61, 10**6), SimpleNamespace(request=None)
    _tend([late, slow, idle], most=10**9)
    assert (late.will_close, slow.will_close) == (True, False)
    small, large, larger = channel(100, now), channel(400, now, 500), channel(600, now, 700)
    _tend([small, large, larger], most=500)
    assert (small.will_close, large.will_close, larger.will_close) == (False, False, True)


def test_a_request_in_progress_is_answered_before_the_end(
    running: subprocess.Popen[bytes], port: int, begun: Path
) -> None:
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(httpx.get, f"http://127.0.0.1:{port}/slow", timeout=300)
        wait_for("the request", begun.exists)
        running.send_signal(signal.SIGTERM)
        assert len(slow.result().content) == 5_000_000
    assert running.wait(300) == 0
    assert not answers(port)


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        settings = Settings(port=other.getsockname()[1])
        with pytest.raises(
            RefusedStartError, match=r"cannot listen on 127\.0\.0\.1, port .* in use\); set HOST and PORT"
        ):
            listen(settings)


@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_ipv6(host: str) -> None:
    with listen(Settings(host=host, port=free_port())) as listening:
        assert listening.family == socket.AF_INET6


def test_several_processes_share_a_port(tmp_path: Path, port: int) -> None:
    """One that is killed is replaced, and the others answer meanwhile."""
    environment = {"PORT": str(port), "WORKERS": "2", "MODEL_DIR": str(tmp_path), "PYTHONPATH": ":".join(sys.path)}
    parent = psutil.Popen([sys.executable, "-m", "backend", "web"], env={**os.environ, **environment})

    def up() -> bool:
        with suppress(httpx.HTTPError):
            return httpx.get(f"http://127.0.0.1:{port}/health", timeout=300).status_code == 200
        return False

    try:
        wait_for("the web servers", lambda: up() and len(parent.children()) == 2)
        with pytest.raises(BackendError, match="a web server runs on"):
            restore(tmp_path / "backup.tar.gz", tmp_path)
        first, second = (each.pid for each in parent.children())
        os.kill(first, signal.SIGKILL)
        wait_for("the other one", up)
        wait_for("another", lambda: {each.pid for each in parent.children()} - {first, second})
        assert second in {each.pid for each in parent.children()}
    finally:
        parent.terminate()
        assert parent.wait(300) == 0
    assert not up()

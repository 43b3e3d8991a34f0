"""The web server beside slow, silent and half-sent requests, and how it ends."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import psutil
import pytest

from backend.errors import RefusedStartError
from backend.runtime.web_server import listen
from backend.settings import Settings
from tests.real import wait_for
from tests.servers import free_port

PROGRAM = """
import time
from flask import Flask, request
from backend.runtime import web_server
from backend.settings import Settings

app = Flask("slow")

@app.get("/health")
def health():
    return "up"

@app.post("/echo")
def echo():
    return {"bytes": len(request.get_data())}

@app.get("/slow")
def slow():
    time.sleep(1.5)
    return "x" * 5_000_000

settings = Settings()
web_server.run(app, web_server.listen(settings), settings)
"""
HEAD = b"POST /echo HTTP/1.1\r\nHost: localhost\r\n"
HALVES = {"headers": HEAD, "body": HEAD + b"Content-Length: 1000\r\n\r\n{", "nothing": b""}


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def running(port: int) -> Iterator[subprocess.Popen[bytes]]:
    environment = {"PORT": str(port), "THREADS": "2", "PATH": "", "PYTHONPATH": ":".join(sys.path)}
    process = subprocess.Popen([sys.executable, "-c", PROGRAM], env=environment)
    wait_for("the server", lambda: answers(port))
    yield process
    process.kill()
    process.wait()


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", timeout=300).text == "up"
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


@pytest.mark.usefixtures("running")
def test_a_body_in_two_parts_and_one_in_chunks(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as slow:
        slow.sendall(HALVES["body"])
        time.sleep(0.1)
        slow.sendall(b"x" * 999)
        assert b'{"bytes":1000}' in slow.recv(4096)
    chunked = httpx.post(f"http://127.0.0.1:{port}/echo", content=iter([b"x" * 10, b"y" * 20]), timeout=300)
    assert chunked.json() == {"bytes": 30}


def test_a_request_in_progress_is_answered_before_the_end(running: subprocess.Popen[bytes], port: int) -> None:
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(httpx.get, f"http://127.0.0.1:{port}/slow", timeout=300)
        wait_for("the request", lambda: psutil.Process(running.pid).net_connections("tcp")[1:])
        time.sleep(0.5)
        running.send_signal(signal.SIGTERM)
        assert len(slow.result().content) == 5_000_000
    assert running.wait(300) == 0


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        settings = Settings(port=other.getsockname()[1])
        with pytest.raises(
            RefusedStartError, match=r"cannot listen on 127\.0\.0\.1, port .* in use\); set HOST and PORT"
        ):
            listen(settings)

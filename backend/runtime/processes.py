"""Run web servers and the worker as child processes. No heavy imports: the parent stays small."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from flask import Flask

from backend import old_names
from backend.backoff import delay
from backend.errors import RefusedStartError
from backend.runtime import web_server
from backend.runtime.parent_death import end_with_parent
from backend.settings import Settings

log = logging.getLogger(__name__)

_AT_ONCE = 20.0  # seconds: a web server that ends earlier refused to start, for example because its port is in use
_LONG = 300.0  # seconds of running after which the count of failures starts again
_FIRST_WAIT = 1.0  # seconds before the first restart; doubled before each further one
_LONGEST_WAIT = 60.0  # seconds between two starts
_LISTENING = "LSAL_LISTENING"  # environment of web processes: number of the socket that they share


def web(settings: Settings, build: Callable[[], Flask]) -> int:
    """Serve until a signal stops it, in this process or, with `WORKERS`, in several. Returns the exit code.

    `build` is called in the process that serves.
    """
    if (shared := os.environ.get(_LISTENING)) is not None:
        web_server.run(build(), socket.socket(fileno=int(shared)), settings)
        return 0
    if settings.workers == 1:
        listening = web_server.listen(settings)
        web_server.run(build(), listening, settings)
        return 0
    with _several(settings) as children:
        return _supervise(children)


@contextmanager
def _several(settings: Settings) -> Iterator[list[_Child]]:
    """Web processes that accept from one socket, and share their Prometheus metrics in a folder."""
    with tempfile.TemporaryDirectory() as metrics, web_server.listen(settings) as listening:
        listening.set_inheritable(True)
        more = {_LISTENING: str(listening.fileno()), "PROMETHEUS_MULTIPROC_DIR": metrics}
        yield [_Child("web", more, (listening.fileno(),)) for _ in range(settings.workers)]


class _Child:
    """A child process that is restarted when it ends, at growing intervals."""

    def __init__(self, name: str, more: Mapping[str, str] | None = None, files: Sequence[int] = ()) -> None:
        self.name = name
        self._more = more or {}  # environment
        self._files = files  # numbers of files that it inherits
        self._again_at = 0.0
        self._deaths = 0
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "backend", self.name],
            env={**old_names.reported(), **self._more},
            pass_fds=self._files,
            preexec_fn=end_with_parent,
        )
        self._started = time.monotonic()
        self._dead = False

    def check(self) -> int | None:
        """Restart the process if it has ended and the wait is over. Returns its exit code if it refused to start."""
        code = self.process.poll()
        if code is None:
            return None
        now = time.monotonic()
        if not self._dead:
            lived = now - self._started
            at_once = self.name == "web" and code > 0 and lived < _AT_ONCE and not self._deaths
            if code == RefusedStartError.exit_code or at_once:
                return code  # the process has logged the reason, such as a wrong setting or a second worker
            self._dead = True
            self._deaths = 1 if lived > _LONG else self._deaths + 1
            wait = delay(self._deaths, _FIRST_WAIT, _LONGEST_WAIT)
            self._again_at = now + wait
            log.error("the %s ended with code %d and restarts in %.0f s", self.name, code, wait)
        elif now >= self._again_at:
            self.start()
        return None


def both(settings: Settings) -> int:
    """Run web server and worker until a signal stops them. One that ends is restarted, while the others keep running.

    Returns the exit code of the first that refuses to start, or 0.
    """
    if settings.workers == 1:
        return _supervise([_Child("web"), _Child("worker")])
    with _several(settings) as children:
        return _supervise([*children, _Child("worker")])


def _supervise(children: Sequence[_Child]) -> int:
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    refused: int | None = None
    while not stopping.wait(0.2) and refused is None:
        refused = next((code for child in children if (code := child.check()) is not None), None)
    _stop([child.process for child in children], patience=35.0)
    return refused or 0


def _stop(processes: list[subprocess.Popen[bytes]], patience: float) -> None:
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + patience
    for process in processes:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

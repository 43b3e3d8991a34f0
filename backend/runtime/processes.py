"""Run the web server, or web server and worker as child processes. No heavy imports: the parent stays small."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

from backend import old_names
from backend.backoff import delay
from backend.errors import RefusedStartError
from backend.runtime.parent_death import end_with_parent
from backend.settings import Settings

log = logging.getLogger(__name__)

_AT_ONCE = 20.0  # seconds: a web server that ends earlier refused to start, for example because its port is in use
_LONG = 300.0  # seconds of running after which the count of failures starts again
_FIRST_WAIT = 1.0  # seconds before the first restart; doubled before each further one
_LONGEST_WAIT = 60.0  # seconds between two starts


class _Gunicorn(BaseApplication):  # type: ignore[misc] # gunicorn has no types
    def __init__(self, build: Callable[[], Flask], options: dict[str, Any]) -> None:
        self._build, self._options = build, options
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        return self._build()


class _Log(Logger):  # type: ignore[misc] # gunicorn has no types
    """Sends gunicorn's log through our handler, which removes secrets and texts of tasks."""

    def setup(self, cfg: Any) -> None:
        """Remove gunicorn's own handlers."""
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True


def web(settings: Settings, build: Callable[[], Flask]) -> None:
    """Serve until a signal stops it. `build` is called in each web process, after the fork."""
    options = {
        "bind": f"{settings.host}:{settings.port}",
        "workers": settings.workers,
        "threads": settings.threads,
        "worker_class": "gthread",
        "timeout": 120,  # Label Studio waits 100 s for predictions
        "graceful_timeout": 30,
        "keepalive": 5,
        "loglevel": settings.log_level.lower(),
        "control_socket_disable": True,
        "logger_class": _Log,
    }
    with tempfile.TemporaryDirectory() as shared:
        if settings.workers > 1:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = shared
        _Gunicorn(build, options).run()


class _Child:
    """A child process that is restarted when it ends, at growing intervals."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._again_at = 0.0
        self._deaths = 0
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "backend", self.name], env=old_names.reported(), preexec_fn=end_with_parent
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


def both() -> int:
    """Run web server and worker until a signal stops them. One that ends is restarted, while the other keeps running.

    Returns the exit code of the first that refuses to start, or 0.
    """
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    running = [_Child(name) for name in ("web", "worker")]
    refused: int | None = None
    while not stopping.wait(0.2) and refused is None:
        refused = next((code for child in running if (code := child.check()) is not None), None)
    _stop([child.process for child in running], patience=35.0)
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

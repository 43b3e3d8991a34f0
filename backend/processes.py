"""Run the web server, or web server and worker as children of one parent. Imports nothing heavy: parents stay small."""

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

from backend.settings import Settings

log = logging.getLogger(__name__)


class _Gunicorn(BaseApplication):  # type: ignore[misc] # gunicorn has no types
    def __init__(self, build: Callable[[], Flask], options: dict[str, Any]) -> None:
        self._build, self._options = build, options
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        return self._build()


def web(settings: Settings, build: Callable[[], Flask]) -> None:
    """Serve until told to stop. `build` is called in each web process, after the fork."""
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
    }
    with tempfile.TemporaryDirectory() as shared:
        if settings.workers > 1:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = shared
        _Gunicorn(build, options).run()


def both() -> int:
    """Web server and worker together. When one ends, so does the other; the exit code is that of the first to end."""
    commands = {name: [sys.executable, "-m", "backend", name] for name in ("web", "worker")}
    running = {name: subprocess.Popen(command) for name, command in commands.items()}
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    ended: tuple[str, int] | None = None
    while not stopping.wait(0.2) and ended is None:
        ended = next(((name, code) for name, p in running.items() if (code := p.poll()) is not None), None)
    if ended is not None:
        log.error("the %s ended with code %d; stopping", *ended)
    _stop(list(running.values()), patience=35.0)
    return 0 if ended is None else ended[1] or 1


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

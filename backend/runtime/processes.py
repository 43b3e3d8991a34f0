"""Run web servers and the worker as child processes that share the memory of the libraries they import."""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path

from backend.backoff import delay
from backend.errors import BackendError, RefusedStartError
from backend.options import old_names
from backend.runtime import web_server
from backend.runtime.parent_death import end_with_parent, name_process
from backend.settings import Settings

log = logging.getLogger(__name__)

_AT_ONCE = 20.0  # seconds: a web server that ends earlier refused to start, for example because its port is in use
_LONG = 300.0  # seconds of running after which the count of failures starts again
_FIRST_WAIT = 1.0  # seconds before the first restart; doubled before each further one
_LONGEST_WAIT = 60.0  # seconds between two starts
_GPUS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")  # of NVIDIA, AMD, and of either under Windows
_PROCESSES = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")

Run = Callable[[socket.socket | None], None]  # what a process does, with the socket that several share


def web(settings: Settings, run: Run) -> int:
    """Serve until a signal stops it, in this process or, with `WORKERS`, in several. Returns the exit code."""
    if settings.workers == 1:
        run(None)
        return 0
    stopping = _end_on_signals()
    with _several(settings, run) as children:
        return _supervise(children, stopping)


def both(settings: Settings, web: Run, worker: Run) -> int:
    """Run web server and worker until a signal stops them. One that ends is restarted, while the others keep running.

    Returns the exit code of the first that refuses to start, or 0.
    """
    stopping = _end_on_signals()
    if settings.workers == 1:
        _share_libraries()
        return _supervise([_Child("web", web), _Child("worker", worker)], stopping)
    with _several(settings, web) as children:
        return _supervise([*children, _Child("worker", worker)], stopping)


def _share_libraries() -> None:
    """Import what the children need, before they are forked: two then need 0.8 GB instead of 1.2.

    Not beside a GPU, whose driver does not survive a fork, in case that a library touches it.
    """
    if _PROCESSES.get_start_method() != "fork" or any(Path(each).exists() for each in _GPUS):
        return
    import backend.app
    import backend.rounds.engine.worker  # noqa: F401

    gc.collect()
    gc.freeze()  # or the first collection in a child would copy the memory


@contextmanager
def _several(settings: Settings, run: Run) -> Iterator[list[_Child]]:
    """Web processes that accept from one socket, and share their Prometheus metrics in a folder."""
    with tempfile.TemporaryDirectory() as metrics, web_server.listen(settings) as listening:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = metrics  # before prometheus_client is imported
        _share_libraries()
        yield [_Child("web", run, listening) for _ in range(settings.workers)]


def _do(name: str, run: Run, listening: socket.socket | None) -> None:
    """Be a child: as a program of its own would be, which ends with its parent."""
    end_with_parent()
    name_process(f"lsal {name}")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    os.environ.update(old_names.reported())
    try:
        run(listening)
    except BackendError as error:
        print(f"lsal: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


class _Child:
    """A child process that is restarted when it ends, at growing intervals."""

    def __init__(self, name: str, run: Run, listening: socket.socket | None = None) -> None:
        self.name = name
        self._work = name, run, listening
        self._again_at = 0.0
        self._deaths = 0
        self.start()

    def start(self) -> None:
        self.process: BaseProcess = _PROCESSES.Process(target=_do, args=self._work)  # type: ignore[attr-defined]
        self.process.start()
        self._started = time.monotonic()
        self._dead = False

    def check(self) -> int | None:
        """Restart the process if it has ended and the wait is over. Returns its exit code if it refused to start."""
        code = self.process.exitcode
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
            try:
                self.start()
            except OSError as error:  # such as no memory for another process: the next check tries again
                self._again_at = now + _FIRST_WAIT
                log.error("the %s cannot be started (%s)", self.name, error.strerror)
        return None


def _end_on_signals() -> threading.Event:
    """Set once the processes shall end. Called before libraries are imported, which takes seconds."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    return stopping


def _supervise(children: Sequence[_Child], stopping: threading.Event) -> int:
    refused: int | None = None
    try:
        while not stopping.wait(0.2) and refused is None:
            refused = next((code for child in children if (code := child.check()) is not None), None)
    finally:
        _stop([child.process for child in children], patience=35.0)
    return refused or 0


def _stop(processes: Sequence[BaseProcess], patience: float) -> None:
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + patience
    for process in processes:
        process.join(max(0.1, deadline - time.monotonic()))
        if process.exitcode is None:
            process.kill()
            process.join()

"""Programs of ours in processes that are forked from one which has imported the libraries: seconds of computing less.

A forked program is as `lsal serve` makes its own children; tests of starting itself, such as test_web_server.py and
test_sidecar.py, start it from the shell.
"""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_FORKS = sys.platform == "linux"  # elsewhere libraries do not survive a fork


class Program:
    """As far as tests use it, what `subprocess.Popen` is: a program in a process group of its own, with a log file."""

    def __init__(self, module: str, words: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["backend.app", "backend.rounds.engine.worker", "backend.cli"])
        self._process = context.Process(target=_run, args=(module, list(words), dict(environment), str(log)))
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid
        atexit.register(self._end)  # a failed test may leave it, and Python would wait for it

    @property
    def returncode(self) -> int | None:
        """None while it runs; minus the signal that killed it."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """The code of its end, or None."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """The code of its end. Raises `subprocess.TimeoutExpired`."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("lsal", timeout or 0.0)
        return self._process.exitcode

    def terminate(self) -> None:
        """As SIGTERM."""
        self._process.terminate()

    def kill(self) -> None:
        """As SIGKILL."""
        self._process.kill()

    def _end(self) -> None:
        if self._process.exitcode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)


def started(
    module: str, words: Sequence[str], environment: Mapping[str, str], log: Path
) -> Program | subprocess.Popen[bytes]:
    """`python -m module words…`, whose output is added to a log file.

    As a program of its own where a fork is not possible, or would come too late: several web servers choose how they
    count before their libraries are imported.
    """
    if _FORKS and "WORKERS" not in environment:
        return Program(module, words, environment, log)
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", module, *words], env=dict(environment), stdout=output, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip


def _run(module: str, words: list[str], environment: dict[str, str], log: str) -> None:
    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    with open(log, "ab") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    sys.argv = [module, *words]
    runpy.run_module(module, run_name="__main__", alter_sys=True)

"""Seconds and extra memory of a call, in a fresh process of its own, so that nothing before it leaves a mark."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple


class Cost(NamedTuple):
    """What one call took."""

    seconds: float
    extra: int  # bytes of memory at its highest, beyond what was there before the call
    result: Any


def measure(prepare: Callable[..., Callable[[], Any]], *arguments: Any, threads: int = 2) -> Cost:
    """The cost of the call that `prepare(*arguments)` returns; preparing, and a first call of it on little, are free.

    `prepare` must be a function of a module: it runs in a process that is started for it. Linux only (/proc).
    """
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_run, args=(theirs, prepare, arguments))
    process.start()
    theirs.close()
    try:
        found = ours.recv()
    except EOFError:
        process.join()
        raise RuntimeError(f"{prepare.__name__}{arguments} ended with exit code {process.exitcode}") from None
    process.join()
    return Cost(*found)


def _run(pipe: Connection, prepare: Callable[..., Callable[[], Any]], arguments: tuple[Any, ...]) -> None:
    call = prepare(*arguments)
    Path("/proc/self/clear_refs").write_text("5")  # forget the highest memory so far
    before = status("VmRSS")
    started = time.perf_counter()
    result = call()
    seconds = time.perf_counter() - started
    pipe.send((seconds, max(0, status("VmHWM") - before), result))


def status(name: str) -> int:
    """A figure of this process in bytes, such as VmRSS or VmHWM, the most so far."""
    line = next(each for each in Path("/proc/self/status").read_text().splitlines() if each.startswith(name))
    return int(line.split()[1]) * 1024

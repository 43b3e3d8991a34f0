"""Seconds and extra memory of a call, measured in a fresh process."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple


class Cost(NamedTuple):
    """Cost of one call."""

    seconds: float
    extra: int  # peak memory in bytes, beyond that before the call
    result: Any


def measure(prepare: Callable[..., Callable[[], Any]], *arguments: Any, threads: int = 2) -> Cost:
    """Cost of the call that `prepare(*arguments)` returns. `prepare` and its warm-up call are not counted.

    `prepare` must be a module-level function: it runs in a spawned process. Linux only (/proc).
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
    Path("/proc/self/clear_refs").write_text("5")  # reset the peak memory
    before = status("VmRSS")
    started = time.perf_counter()
    result = call()
    seconds = time.perf_counter() - started
    pipe.send((seconds, max(0, status("VmHWM") - before), result))


def status(name: str) -> int:
    """A memory figure of this process in bytes, such as VmRSS (current) or VmHWM (peak)."""
    line = next(each for each in Path("/proc/self/status").read_text().splitlines() if each.startswith(name))
    return int(line.split()[1]) * 1024

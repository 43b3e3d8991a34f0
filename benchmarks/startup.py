"""What `lsal serve` costs: memory when idle, processor time to start, and seconds until a killed web server answers.

    python -m benchmarks.startup

The peer is the same program without shared libraries, as beside a GPU: its children import by themselves.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import NamedTuple

import httpx
import psutil

from tests.servers import free_port

_RESULT = Path(__file__).parent / "results" / "startup.md"
_ALONE = "import sys; sys.argv = ['lsal', 'serve']; from backend.runtime import processes; "
_PEER = _ALONE + "processes._share_libraries = lambda: None; from backend.cli import main; main()"
_OURS = _ALONE + "from backend.cli import main; main()"
_IDLE = 10.0  # seconds after the start
_RUNS = 3


class Cost(NamedTuple):
    """Of one run."""

    megabytes: float  # proportional set size of all processes: shared pages are counted once
    processor: float  # seconds until idle
    again: float  # seconds from the end of a web server until a request is answered


def run(code: str, workers: int) -> Cost:
    """Start it, wait, kill a web server, and stop it."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "MODEL_DIR": folder, "PORT": str(port), "WORKERS": str(workers),
                       "LABEL_STUDIO_URL": "http://localhost:9", "LABEL_STUDIO_API_KEY": "0" * 40}  # fmt: skip
        process = subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.DEVNULL)

        def answers() -> bool:
            try:
                return httpx.get(f"http://localhost:{port}/health", timeout=5).is_success
            except httpx.HTTPError:
                return False

        _wait(answers)
        time.sleep(_IDLE)
        parent = psutil.Process(process.pid)
        every = [parent, *parent.children()]
        megabytes = sum(each.memory_full_info().pss for each in every) / 1e6
        used = sum(each.cpu_times().user + each.cpu_times().system for each in every)
        web = next(each for each in parent.children() if each.name() == "lsal web")
        web.kill()
        again = _wait(answers)
        process.terminate()
        process.wait(60)
    return Cost(megabytes, used, again)


def _wait(ready: Callable[[], bool]) -> float:
    began = time.perf_counter()
    while not ready():
        time.sleep(0.02)
    return time.perf_counter() - began


def main() -> None:
    """Write results/startup.md."""
    lines = [
        "# Start of `lsal serve`",
        "",
        f"Web servers and worker, {_IDLE:.0f} s after the start, without a project; medians of {_RUNS} runs, taken in "
        "turns. The peer is the same program whose processes import their libraries by themselves.",
        "",
        "| web servers | | memory, MB | processor time, s | answers again after, s |",
        "|---|---|---|---|---|",
    ]
    for workers in (1, 3):
        costs: dict[str, list[Cost]] = {"shared": [], "by themselves": []}
        for _ in range(_RUNS):
            for name, code in (("shared", _OURS), ("by themselves", _PEER)):
                costs[name].append(run(code, workers))
        for name, found in costs.items():
            of_each = [median(values) for values in zip(*found, strict=True)]
            lines.append(f"| {workers} | {name} | {of_each[0]:.0f} | {of_each[1]:.1f} | {of_each[2]:.2f} |")
    _RESULT.write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()

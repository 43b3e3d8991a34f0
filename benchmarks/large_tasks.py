"""Memory of the worker with tasks of a megabyte each, read from a real Label Studio.

    python -m benchmarks.large_tasks [--tasks 150]

The growth of the worker's resident memory, from before the project is connected to its first queue. Linux only.
"""

from __future__ import annotations

import argparse
import threading
import time

import psutil

from backend.store import Store
from benchmarks.running import Running, running

_PORT = 9194
_CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="topic" toName="text">'
    '<Choice value="billing"/><Choice value="delivery"/></Choices></View>'
)
_AT_A_TIME = 10  # tasks of one import
_PATIENCE = 600.0  # seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=150)
    print(measure(parser.parse_args().tasks))


def measure(count: int) -> str:
    """One sentence about a project of `count` such tasks."""
    with running(_PORT) as both:
        project = _project(both, count)
        worker = next(each for each in psutil.Process(both.backend.pid).children() if each.name() == "lsal worker")
        time.sleep(10)  # until it has imported its libraries
        before, most, stop = worker.memory_info().rss, [0], threading.Event()

        def watch() -> None:
            while not stop.wait(0.05):
                most[0] = max(most[0], worker.memory_info().rss)

        watching = threading.Thread(target=watch)
        watching.start()
        began = time.perf_counter()
        both.http.post("/api/ml/", json={"url": f"http://localhost:{_PORT}", "project": project}).raise_for_status()
        rounds = Store(both.folder).of(project).rounds
        while not ((first := rounds.get(1)) and first.state != "running"):
            if time.perf_counter() - began > _PATIENCE:
                raise SystemExit("no queue came")
            time.sleep(0.5)
        seconds = time.perf_counter() - began
        stop.set()
        watching.join()
    return (
        f"{count} tasks of 1 MB: the first queue after {seconds:.0f} s ({first.state}); the worker's memory went from "
        f"{before / 2**30:.2f} to {most[0] / 2**30:.2f} GiB, the base model included"
    )


def _project(both: Running, count: int) -> int:
    values = {"title": "Large", "label_config": _CONFIG}
    project = int(both.http.post("/api/projects/", json=values).json()["id"])
    for start in range(0, count, _AT_A_TIME):
        tasks = [{"text": f"{number} " + "a parcel " * 110_000} for number in range(start, start + _AT_A_TIME)]
        both.http.post(f"/api/projects/{project}/import", json=tasks).raise_for_status()
    return project


if __name__ == "__main__":
    main()

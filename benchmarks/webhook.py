"""Latency of webhooks while a round trains, and the number of lost events.

    python -m benchmarks.webhook [--rate 50] [--seconds 60]

Open-loop load: each event is sent when it is due, whether or not earlier ones were answered, and its latency counts
from the time it was due. Meanwhile the worker trains on the demo's tickets. In the end the store must hold every event.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import statistics
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

from backend.demo import tickets
from backend.demo.kinds import KINDS
from backend.demo.label_studio import Annotator
from backend.store import Store
from benchmarks.running import Running, running

_PORT = 9191


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=50.0)
    parser.add_argument("--seconds", type=float, default=60.0)
    arguments = parser.parse_args()
    with running(_PORT, LSAL_MIN_STEPS="20000", LSAL_MAX_STEPS="20000", LSAL_CLASS_NAMES="false") as both:
        folder = both.folder
        project_id = _train_for_long(both, Store(folder))
        before = _events_ever(folder)
        latencies, failures = _send(project_id, arguments.rate, arguments.seconds)
        still = Store(folder).of(project_id).rounds.get(2)
        counted = _events_ever(folder) - before
    sent = len(latencies) + failures
    ordered = sorted(latencies)
    print(f"{sent} events at {arguments.rate:.0f}/s while the worker trains"
          f" (still training at the end: {still is not None and still.step == 'train'})")  # fmt: skip
    print("| p50 ms | p99 ms | most ms | refused | lost |\n|---|---|---|---|---|")
    p99 = ordered[int(0.99 * len(ordered))]
    print(f"| {1e3 * statistics.median(ordered):.1f} | {1e3 * p99:.1f} | {1e3 * ordered[-1]:.1f} | {failures} "
          f"| {sent - failures - counted} |")  # fmt: skip


def _train_for_long(both: Running, store: Store) -> int:
    """Connect a project, label a batch, and return the project's id once training runs."""
    ls, http = both.label_studio, both.http
    sample = tickets.TICKETS.write(300, seed=1)
    truth = {ticket.text: ticket.topic for ticket in sample}
    project_id = int(
        http.post("/api/projects/", json={"title": "Webhooks", "label_config": KINDS["choices"].config}).json()["id"]
    )
    http.post(f"/api/projects/{project_id}/import", json=[{"text": text} for text in truth]).raise_for_status()
    http.post("/api/ml/", json={"url": f"http://localhost:{_PORT}", "project": project_id}).raise_for_status()
    _until(lambda: (r := store.of(project_id).rounds.get(1)) is not None and r.state == "done")
    annotator = Annotator(ls.url, ls.owner.token)
    for _ in range(20):
        task = annotator.next_task(project_id)
        assert task is not None
        annotator.choose(task["id"], truth[task["data"]["text"]])
    _until(lambda: (r := store.of(project_id).rounds.get(2)) is not None and r.step == "train")
    time.sleep(5)
    annotator.close()
    return project_id


def _send(project_id: int, rate: float, seconds: float) -> tuple[list[float], int]:
    """Latencies in seconds of the accepted events, and the number of rejected ones."""
    latencies: list[float] = []
    failures = 0
    lock = threading.Lock()
    event = {"action": "ANNOTATION_CREATED", "project": {"id": project_id}, "annotation": {"result": []}}
    body = json.dumps(event).encode()
    start = time.perf_counter() + 0.5

    def send(number: int) -> None:
        nonlocal failures
        due = start + number / rate
        time.sleep(max(0.0, due - time.perf_counter()))
        connection = HTTPConnection("localhost", _PORT, timeout=10)  # a new one for each event, as in Label Studio
        try:
            connection.request("POST", "/webhook", body, {"Content-Type": "application/json"})
            taken = connection.getresponse().status == 201
        except OSError:
            taken = False
        finally:
            connection.close()
        spent = time.perf_counter() - due
        with lock:
            if taken:
                latencies.append(spent)
            else:
                failures += 1

    with ThreadPoolExecutor(64) as pool:
        list(pool.map(send, range(int(rate * seconds))))
    return latencies, failures


def _events_ever(folder: Path) -> int:
    """Number of events stored since the store was created."""
    with sqlite3.connect(folder / "state.sqlite3") as connection:
        (count,) = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()
    return int(count)


def _until(true: Callable[[], bool]) -> None:
    while not true():
        time.sleep(0.5)


if __name__ == "__main__":
    main()

"""Seconds from connecting to the first queue, from a label to a changed queue, and from a batch to the next round's.

    python -m benchmarks.reacting [--tasks 2000] [--labels 15]

A real Label Studio and a backend with default options, on generated support tickets (about 30 word pieces). Each label
is given when the queue has followed the one before. Label Studio's default, SQLite, and its own import.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from backend.demo import tickets
from backend.demo.kinds import KINDS
from backend.demo.label_studio import Annotator, LabelStudioServer
from backend.store import Store

_PORT, _LABEL_STUDIO_PORT = 9193, 8183
_BATCH = 20


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=2000)
    parser.add_argument("--labels", type=int, default=15)
    parser.add_argument("--log", action="store_true", help="print the backend's log")
    arguments = parser.parse_args()
    program = Path(os.environ.get("LABEL_STUDIO", ".venv-label-studio/bin/label-studio")).absolute()
    with tempfile.TemporaryDirectory() as name, LabelStudioServer(program, Path(name) / "ls", _LABEL_STUDIO_PORT) as ls:
        folder = Path(name) / "backend"
        environment = {
            **os.environ, "LABEL_STUDIO_URL": ls.url, "LABEL_STUDIO_API_KEY": ls.owner.token, "MODEL_DIR": str(folder),
            "PORT": str(_PORT), "LSAL_AUDIT_SHARE": "0",
        }  # fmt: skip
        folder.mkdir()
        with (folder / "log.txt").open("wb") as log:
            backend = subprocess.Popen(
                [sys.executable, "-m", "backend", "serve"], env=environment, start_new_session=True, stdout=log,
                stderr=log,
            )  # fmt: skip
        try:
            _measure(ls, Store(folder), arguments.tasks, arguments.labels)
        finally:
            os.killpg(backend.pid, signal.SIGKILL)
            backend.wait()
            if arguments.log:
                print((folder / "log.txt").read_text("utf-8", "replace"))


def _measure(ls: LabelStudioServer, store: Store, count: int, labels: int) -> None:
    http = httpx.Client(base_url=ls.url, headers={"Authorization": f"Token {ls.owner.token}"}, timeout=600)
    _until(_up)
    truth = {ticket.text: ticket.topic for ticket in tickets.TICKETS.write(count, seed=1)}
    project = {"title": "Reacting", "label_config": KINDS["choices"].config}
    number = int(http.post("/api/projects/", json=project).json()["id"])
    texts = list(truth)
    for start in range(0, count, 5000):
        tasks = [{"text": text} for text in texts[start : start + 5000]]
        http.post(f"/api/projects/{number}/import", json=tasks).raise_for_status()

    def version() -> str:
        return str(http.get(f"/api/projects/{number}/").json()["model_version"])

    began = time.monotonic()
    http.post("/api/ml/", json={"url": f"http://localhost:{_PORT}", "project": number}).raise_for_status()
    _until(lambda: "-q" in version())
    first = time.monotonic() - began
    _until(lambda: (row := store.of(number).rounds.get(1)) is not None and row.state == "done")
    row = store.of(number).rounds.get(1)
    print(f"round 1: {row.seconds if row is not None else None}, queue after {first:.1f} s", flush=True)
    annotator = Annotator(ls.url, ls.owner.token)
    seconds = []
    for given in range(_BATCH):
        task, before = annotator.next_task(number), version()
        assert task is not None
        annotator.choose(task["id"], truth[task["data"]["text"]])
        since = time.monotonic()
        if given < labels:
            _until(lambda known=before: version() != known, patience=60)  # type: ignore[misc]
            seconds.append(time.monotonic() - since)
    since = time.monotonic()
    _until(lambda: "-a2-" in version())
    published = time.monotonic() - since
    print("| tasks | first queue s | label → queue s, median | most | 20 labels → queue of the next adapter s |")
    print("|---|---|---|---|---|")
    print(f"| {count} | {first:.1f} | {statistics.median(seconds):.1f} | {max(seconds):.1f} | {published:.1f} |")
    annotator.close()
    http.close()


def _up() -> bool:
    try:
        return httpx.get(f"http://localhost:{_PORT}/health", timeout=1).status_code == 200
    except httpx.HTTPError:
        return False


def _until(true: Callable[[], bool], patience: float = 1800) -> None:
    until = time.monotonic() + patience
    while not true() and time.monotonic() < until:
        time.sleep(0.1)


if __name__ == "__main__":
    main()

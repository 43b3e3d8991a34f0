"""A worker on a disk that fills up in the middle of training; prints what was seen as JSON.

Run under `unshare --user --map-root-user --mount`, so that a small disk can be mounted by anybody:
    python -m tests.label_studio.faults.full_disk BASE_MODEL FOLDER
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backend.learners.models.cache import BaseModels
from backend.rounds.context import Context
from backend.rounds.engine import notifier, retry
from backend.rounds.engine.notifier import notify
from backend.rounds.engine.workflow import RoundExecutor
from backend.rounds.steps import train as training
from backend.store import Store
from backend.web.serving import Serving
from tests.backend.rounds.memory import Memory
from tests.backend.web.test_ml import CONFIG
from tests.conftest import labeled_sentences


def main(base_model: str, folder: Path) -> dict[str, Any]:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)], check=True)
    retry._PAUSE = notifier._PAUSE_AFTER_ERROR = 1.0
    seen: dict[str, Any] = {}
    store = Store(folder)
    store.database.migrate()
    there = Memory()
    for number, (text, label) in enumerate(labeled_sentences(30), 1):
        there.put(number, label if number <= 12 else None, text=text)
    options = {"base_model": base_model, "manage_queue": False, "min_steps": 20, "epochs": 1, "batch_size": 5}
    store.projects.connect(7, label_config=CONFIG, options=options, host="b.local:9090")

    @contextlib.contextmanager
    def no_bar(_: str) -> Any:
        yield lambda done, total: None

    rounds = RoundExecutor(
        Context(store=store, client=there, models=BaseModels(), bar=no_bar, min_free_mb=1), folder, "worker-1"
    )  # type: ignore[arg-type]
    rounds.launch()
    stop = threading.Event()
    threading.Thread(
        target=notify, args=(rounds, store, lambda: None), kwargs={"sync_interval": 2.0, "stop": stop}, daemon=True
    ).start()
    project = lambda: store.projects.get(7)  # noqa: E731
    until(lambda: project().adapter == 1)
    serving = Serving(store, BaseModels())
    text = labeled_sentences(1)[0][0]
    before = serving.predict(7, [text])

    ballast = folder / "ballast"
    real = training.train_learner

    def train(*arguments: Any, **more: Any) -> None:
        if seen.get("fill", True):
            fill(ballast)
        real(*arguments, **more)

    training.train_learner = train  # type: ignore[assignment]
    for number in range(13, 19):
        there.put(number, labeled_sentences(30)[number - 1][1], text=labeled_sentences(30)[number - 1][0])
    until(lambda: ballast.exists())
    time.sleep(8)
    seen["serving"] = serving.predict(7, [text])[0] == before[0] == "p7-a1"
    seen["half-written"] = sorted(p.name for p in (folder / "projects/7/adapters").iterdir() if p.name != "1")
    try:
        store.events.add(7, "ANNOTATION_CREATED")
        seen["event"] = "noted"
    except Exception as error:  # noqa: BLE001
        seen["event"] = type(error).__name__
    seen["fill"] = False
    ballast.unlink()
    until(lambda: project().adapter == 2, 90.0)
    until(lambda: project().error is None, 30.0)
    seen["adapter"] = project().adapter
    seen["labels"] = store.of(7).tasks.count_labeled()
    seen["said"] = sorted({r.error for r in store.of(7).rounds.all() if r.error})
    stop.set()
    return seen


def fill(path: Path) -> None:
    """Leave no byte on the disk."""
    with path.open("wb", buffering=0) as file:
        for size in (2**20, 4096, 512, 1):
            with contextlib.suppress(OSError):
                while file.write(b"x" * size):
                    pass


def until(true: Callable[[], Any], patience: float = 300.0) -> None:
    deadline = time.monotonic() + patience
    while True:
        with contextlib.suppress(Exception):
            if true():
                return
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)


if __name__ == "__main__":
    found = main(sys.argv[1], Path(sys.argv[2]))
    print(json.dumps(found), flush=True)
    import os

    os._exit(0)

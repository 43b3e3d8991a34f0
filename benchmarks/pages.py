"""Loading times of the dashboard's pages for a large project.

    python -m benchmarks.pages [--tasks 100000] [--rounds 50] [--shots FOLDER]

A project with many rounds is written directly into the store and served by the real web process. Chromium loads each
page five times; the time counts until everything is drawn. Writes results/pages.md.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from playwright.sync_api import Page, sync_playwright

from backend.evaluation.measures import measure
from backend.learners.models.base_model import BaseModel
from backend.options import ProjectOptions
from backend.rounds.embeddings import embeddings_of
from backend.runtime.progress import bar
from backend.store import Store
from backend.store.finishes import CERTIFIED, Answer
from backend.store.rounds import Place
from backend.store.sql.models import Adapter
from backend.targets import Target

_RESULT = Path(__file__).parent / "results" / "pages.md"
_PORT = 9192
_TIMES = 5
_CLASSES = ("billing", "delivery", "login", "refund", "warranty", "other")
_TARGET = Target("topic", "classification", _CLASSES)
_CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="topic" toName="text">'
    + "".join(f'<Choice value="{name}"/>' for name in _CLASSES)
    + "</Choices></View>"
)
_BATCH = 20
_PAGES = {
    "all projects": "/ui/", "one project": "/ui/projects/1", "its map": "/ui/projects/1/map",
    "finish": "/ui/projects/1/finish", "find a class": "/ui/projects/1/find?name=billing&control=topic",
    "find by a task": "/ui/projects/1/find?task=7", "near-duplicates": "/ui/projects/1/find?duplicates=1",
}  # fmt: skip
_DRAWN = {
    "all projects": "() => document.querySelector('.card')",
    "one project": "() => document.querySelectorAll('.plot .main-svg').length > 2",
    "its map": "() => document.querySelector('#map[data-drawn]')",
    "finish": "() => document.querySelector('#finish-proof .plot .main-svg')",
    "find a class": "() => document.querySelector('#found-title')",
    "find by a task": "() => document.querySelector('#found-title')",
    "near-duplicates": "() => document.querySelector('#repeated-title')",
}


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--shots", type=Path, help="folder for screenshots of the pages")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        store.database.migrate()
        fill(store, arguments.tasks, arguments.rounds)
        environment = {**os.environ, "MODEL_DIR": folder, "PORT": str(_PORT), "LABEL_STUDIO_URL": "http://localhost:1"}
        server = subprocess.Popen([sys.executable, "-m", "backend", "web"], env=environment)
        try:
            _wait()
            lines = _measure(arguments.shots)
        finally:
            server.terminate()
            server.wait()
    heading = [
        "# Loading times of the pages\n",
        f"`python -m benchmarks.pages`: {arguments.tasks:,} tasks, {arguments.rounds} rounds, {_TIMES} loads of each "
        "page in Chromium without a GPU, 2 cores; medians. The cache is empty, except for *drawn again*. `answered`: "
        "HTML or JSON alone; `loaded`: the page can be read and used; `drawn`: with its charts.\n",
        "| page | answered, ms | loaded, ms | drawn, ms | worst of these, ms | drawn again, ms |",
        "|---|---|---|---|---|---|",
    ]
    _RESULT.write_text("\n".join([*heading, *lines]) + "\n", "utf-8")
    print("\n".join(lines))


def fill(store: Store, tasks: int, rounds: int, *, project_id: int = 1) -> None:
    """Write a project of so many tasks after so many rounds of twenty labels."""
    rng = np.random.default_rng(0)
    store.projects.connect(project_id, label_config=_CONFIG, options={"target": 0.9}, host="localhost")
    words = [f"word{n}" for n in range(2000)]
    truth = rng.choice(len(_CLASSES), tasks, p=[0.3, 0.25, 0.2, 0.12, 0.08, 0.05])
    with bar("writing tasks") as progress:
        for start in range(0, tasks, 10_000):
            rows = range(start, min(tasks, start + 10_000))
            texts = [(row + 1, f"{_CLASSES[truth[row]]} " + " ".join(rng.choice(words, 20))) for row in rows]
            store.of(project_id).tasks.put_texts(texts, seed=0, audit_share=0.1)
            progress(rows[-1] + 1, tasks)
    order = rng.permutation(tasks) + 1
    every = {task.id: task for task in store.of(project_id).tasks.every()}
    for number in range(1, rounds + 1):
        known = [int(task) for task in order[: _BATCH * (number - 1)]]
        new = known[-_BATCH:]
        labels_of = [(task, {"topic": _CLASSES[truth[task - 1]]}, True, False) for task in new]
        store.of(project_id).tasks.put_annotations(labels_of)
        store.of(project_id).tasks.put_annotations([], {
            task: [{"id": task, "annotator": task % 3 + 1, "skipped": False, "labels": labels, "seconds": 9.0}]
            for task, labels, _, _ in labels_of
        })  # fmt: skip
        store.of(project_id).rounds.begin(
            number, reason=f"{len(new)} newly labeled tasks", labels=len(known), tasks=tasks
        )
        queue = [Place(int(task), bool(n % 10 == 5), 0.5) for n, task in enumerate(order[len(known) :][:60])]
        store.of(project_id).rounds.put_queue(number, queue)
        store.projects.add_published(project_id, number, f"p{project_id}-a{number}-q{number}")
        store.of(project_id).tasks.learned(number)
        suspects = [{"task": task, "given": _CLASSES[truth[task - 1]], "instead": "other", "quality": 0.1}
                    for task in known[:100]]  # fmt: skip
        forecast = {"labels": 300, "low": 150, "high": 700}
        values: dict[str, Any] = {
            "strategy": "margin", "state": "done", "queue": number, "adapter": number, "finished_at": time.time(),
            "candidates": tasks - len(known), "evaluation": _evaluation(number),
            "seconds": {"train": 20.0 + number / 5, "evaluate": 1.5, "score": 40.0, "select": 1.0, "publish": 2.0},
            "review": {"topic": {"suspects": suspects}},
            "stopping": {"look": None, "forecast": forecast, "settled": False, "hours": 1.0},
        }  # fmt: skip
        store.of(project_id).rounds.set(number, **values)
        store.of(project_id).rounds.put_adapter(
            Adapter(project_id=project_id, number=number, base_model="minilm", fingerprint="", examples=len(known),
                    targets=[_TARGET.as_json()], created_at=time.time())
        )  # fmt: skip
    prediction = {
        "control": "topic",
        "value": "billing",
        "confidence": 0.41,
        "between": [["billing", 0.41], ["refund", 0.38]],
    }
    explanations = {item.task_id: {"says": [prediction], "novelty": 0.95, "density": 0.8}
            for item in store.of(project_id).rounds.queue(rounds)}  # fmt: skip
    store.of(project_id).rounds.explain(rounds, explanations)
    store.projects.set(project_id, title="A large project", adapter=rounds, queue=rounds, round=rounds)
    store.workers.beat("worker-1", None)
    _scores(store, project_id, every, truth, rounds, rng)
    _embeddings(store, project_id, every, rng)
    _finish(store, project_id, every, truth, rounds)


def _evaluation(number: int) -> dict[str, Any]:
    labels, right = 2 * number + 4, round((0.9 - 0.5 * 0.93**number) * (2 * number + 4))
    found = measure(Target("topic", "classification"), ["a"] * labels, ["a"] * right + ["b"] * (labels - right))
    return {"labels": labels, "skipped": 0, "controls": {"topic": found | {"calibration_error": 0.03}}}


def _scores(store: Store, project_id: int, every: dict[int, Any], truth: Any, version: int, rng: Any) -> None:
    """Write the adapter's scores, and the map with one cloud per class."""
    digests = [every[task].digest for task in sorted(every)]
    logits = rng.normal(size=(len(every), len(_CLASSES)))
    logits[np.arange(len(every)), truth] += 2.5
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    store.files.scores(project_id, version).add(digests, {"topic/probs": probs.astype(np.float32)})
    shown = np.sort(rng.permutation(len(every))[:20_000])
    angles = truth[shown] * (2 * np.pi / len(_CLASSES))
    places = np.stack([np.cos(angles), np.sin(angles)], axis=1) * 3 + rng.normal(size=(len(shown), 2))
    method = np.frombuffer(b"pca", np.uint8)
    found = {"tasks": shown + 1, "places": places.astype(np.float32), "method": method}
    store.files.put_map(project_id, found)


def _embeddings(store: Store, project_id: int, every: dict[int, Any], rng: Any) -> None:
    base = BaseModel("minilm", device="cpu")
    digests = np.array([every[task].digest for task in sorted(every)], np.int64)
    vectors = rng.normal(size=(len(digests), base.dimensions)).astype(np.float32)
    embeddings_of(store, project_id, base, ProjectOptions().max_length).add(digests, {"embeddings": vectors})


def _finish(store: Store, project_id: int, every: dict[int, Any], truth: Any, adapter: int) -> None:
    """A sample of 400 that proves nine in ten of the model's labels."""
    finishes, open_ones = store.of(project_id).finishes, store.of(project_id).tasks.remaining()
    number = finishes.request(accuracy=0.95, scope="machine", tolerance=0.0, labels=None)
    assert number is not None
    answers = [
        Answer(task.id, 1 - place / len(open_ones), {"topic": _CLASSES[truth[task.id - 1]]}, task.digest, place < 400)
        for place, task in enumerate(open_ones)
    ]
    finishes.put_sample(number, answers, adapter=adapter, labels=400, result={"remaining": len(answers)})
    taken = [each.task_id for each in answers[400 : int(0.9 * len(answers))]]
    result = {
        "remaining": len(answers), "sample": 400, "wrong": 20, "unlabeled": 3, "part": {"sampled": 360, "wrong": 9},
        "taken": len(taken), "at_most": len(taken) // 20, "accuracy": 0.95, "doubtful": taken[-20:],
        "curve": [[each / 100, (100 - each) * len(taken) // 5] for each in range(95, 99)],
    }  # fmt: skip
    finishes.decide(number, CERTIFIED, keep=set(taken), result=result)


def _wait() -> None:
    for _ in range(300):
        try:
            httpx.get(f"http://localhost:{_PORT}/health").raise_for_status()
            return
        except httpx.HTTPError:
            time.sleep(0.2)
    raise SystemExit("the web process did not start")


def _measure(shots: Path | None) -> list[str]:
    lines = []
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--enable-unsafe-swiftshader"]  # the map is drawn by WebGL, here without a GPU
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
        for name, path in _PAGES.items():
            answered = [_answered(path) for _ in range(_TIMES)]
            first, again = [], []
            for _ in range(_TIMES):
                page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()  # with an empty cache
                first.append(_drawn(page, name, path))
                again.append(_drawn(page, name, path))
            loaded, drawn = zip(*first, strict=True)
            later = [each[1] for each in again]
            figures = [*map(statistics.median, (answered, loaded, drawn)), max(drawn), statistics.median(later)]
            lines.append(f"| {name} | {' | '.join(f'{each:.0f}' for each in figures)} |")
            if shots is not None:
                shots.mkdir(parents=True, exist_ok=True)
                page.screenshot(path=shots / f"{name}.png", full_page=True)
        answered = [_answered("/api/projects/1/map") for _ in range(_TIMES)]
        lines.append(f"| its map's points, as JSON | {statistics.median(answered):.0f} | | | | |")
        browser.close()
    return lines


def _answered(path: str) -> float:
    started = time.perf_counter()
    httpx.get(f"http://localhost:{_PORT}{path}", timeout=60).raise_for_status()
    return 1000 * (time.perf_counter() - started)


def _drawn(page: Page, name: str, path: str) -> tuple[float, float]:
    started = time.perf_counter()
    page.goto(f"http://localhost:{_PORT}{path}")
    loaded = 1000 * (time.perf_counter() - started)
    page.wait_for_function(_DRAWN[name])
    return loaded, 1000 * (time.perf_counter() - started)


if __name__ == "__main__":
    main()

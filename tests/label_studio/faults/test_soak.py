"""Half an hour of two annotators at work under random faults: `make soak`.

The project is an ordinary one: MiniLM, choices and spans, texts of 20 to 400 word pieces. Only the number of training
steps is smaller. SOAK_MINUTES sets the duration. Processes are killed in the first third only; after it their memory,
open files and temporary files are sampled, and at the end the worker's resident memory is checked.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.conftest import CLASSES, FILLERS, WORDS
from tests.label_studio.faults.conftest import check_nothing_twice_nothing_lost
from tests.label_studio.faults.proxy import KINDS
from tests.real import AUTH, Team, truth, wait_for

_SAMPLE = 3.0  # seconds between samples of memory and files
_PREDICT = 15.0  # seconds between calls of /predict
_PAUSE = 3.0  # seconds between two labels of an annotator, on average
_SHORTEST, _LONGEST = 20, 400  # word pieces of a text
_MOST = 1.2 * 2**30  # bytes of the worker that may be resident at the end
_CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="topic" toName="text">'
    + "".join(f'<Choice value="{name}"/>' for name in CLASSES)
    + '</Choices><Labels name="words" toName="text"><Label value="key"/></Labels></View>'
)


def texts(count: int, rng: random.Random) -> list[str]:
    """Texts of 20 to 400 words that are one word piece each, and one word that gives the class away."""
    made = []
    for number in range(count):
        words = rng.choices(FILLERS, k=rng.randint(_SHORTEST, _LONGEST) - 3)  # the other word, [CLS] and [SEP]
        words.insert(rng.randint(0, len(words)), rng.choice(WORDS[CLASSES[number % len(CLASSES)]]))
        made.append(" ".join(words))
    return made


def answer(text: str) -> dict[str, Any]:
    """The right labels of a text, as the store keeps them: its class, and the word that gives it away as a span."""
    topic = truth(text)
    word = next(word for word in text.split() if word in WORDS[topic])
    start = f" {text} ".index(f" {word} ")
    return {"topic": topic, "words": [[start, start + len(word), "key"]]}


def result(text: str) -> list[dict[str, Any]]:
    """The same in Label Studio's format."""
    values = answer(text)
    ((start, end, name),) = values["words"]
    span = {"start": start, "end": end, "text": text[start:end], "labels": [name]}
    return [
        {"from_name": "topic", "to_name": "text", "type": "choices", "value": {"choices": [values["topic"]]}},
        {"from_name": "words", "to_name": "text", "type": "labels", "value": span},
    ]


def stored_labels(team: Team) -> dict[int, dict[str, Any]]:
    """The labels of each task, of both kinds, in the store."""
    both = [team.backend.store.of(team.id).tasks.labeled(audit=audit) for audit in (False, True)]
    return {example.id: dict(example.values) for part in both for example in part}


class Annotators:
    """Two people who label what is served, skip, change their minds and delete, each in a thread."""

    def __init__(self, team: Team, pause: float) -> None:
        self.team, self.pause = team, pause
        self.labels: dict[int, dict[str, Any]] = {}
        self.counts = {"labeled": 0, "skipped": 0, "deleted": 0, "served nothing": 0}
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._work, args=(n,)) for n in (0, 1)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _work(self, number: int) -> None:
        person, rng = self.team.annotators[number], random.Random(number)
        while not self._stop.wait(rng.uniform(0.5, 1.5) * self.pause):
            task = person.next_task(self.team.id)
            if task is None:
                self.counts["served nothing"] += 1
                continue
            if rng.random() < 0.05:
                person.skip(task["id"])
                self.counts["skipped"] += 1
                continue
            text = task["data"]["text"]
            made = person.submit(task["id"], result(text))
            with self._lock:
                self.counts["labeled"] += 1
                if rng.random() < 0.03:
                    self.team.call("DELETE", f"/api/annotations/{made}/")
                    self.labels.pop(task["id"], None)
                    self.counts["deleted"] += 1
                else:
                    self.labels[task["id"]] = answer(text)


class Watch:
    """Samples of memory, open files and temporary files."""

    def __init__(self, pair: Any, scratch: Path) -> None:
        self.pair, self.scratch = pair, scratch
        self.samples: list[dict[str, float]] = []

    def look(self) -> None:
        found: dict[str, float] = {}
        for name, process in (("web", self.pair.process), ("worker", self.pair.worker)):
            top = psutil.Process(process.pid)
            everyone = [top, *top.children(recursive=True)]
            found[f"{name} MB"] = sum(each.memory_info().rss for each in everyone) / 2**20
            found[f"{name} files"] = sum(each.num_fds() for each in everyone)
        found["temporary files"] = sum(1 for path in self.scratch.rglob("*") if path.is_file())
        found["state MB"] = sum(p.stat().st_size for p in self.pair.folder.glob("*.sqlite3*")) / 2**20
        self.samples.append(found)

    def growth(self) -> dict[str, tuple[float, float]]:
        """The least of the first and of the last quarter, after a quarter to warm up.

        The least, because a step that runs takes more memory than stays.
        """
        rows = self.samples[len(self.samples) // 4 :]
        part = max(1, len(rows) // 4)
        return {name: (min(r[name] for r in rows[:part]), min(r[name] for r in rows[-part:])) for name in rows[0]}


def faults(team: Team, rng: random.Random, *, kill: bool) -> str:
    """One fault at random; its name."""
    pair, proxy = team.backend, team.proxy  # type: ignore[attr-defined]
    any_pair: Any = pair
    if kill and rng.random() < 0.6:
        what = rng.choice(["worker", "web", "both"])
        if what != "worker":
            any_pair.kill_web()
        if what != "web":
            any_pair.kill_worker()
        time.sleep(rng.uniform(0.0, 3.0))
        if what != "worker":
            any_pair.start_web()
        if what != "web":
            any_pair.start_worker()
        return f"kill {what}"
    what = rng.choice([*KINDS, "down", "no webhook", "odd calls", "damaged adapter"])
    if what == "down":
        proxy.down = True
        time.sleep(rng.uniform(5.0, 20.0))
        proxy.down = False
    elif what == "no webhook":
        (hook,) = team.call("GET", f"/api/webhooks/?project={team.id}")
        team.call("PATCH", f"/api/webhooks/{hook['id']}/", {"is_active": False})
    elif what == "odd calls":
        for body in (b"[" * 5000, b"{}", b'{"project": 7, "tasks": [{}]}', b"\x00" * 1000):
            for path in ("/setup", "/predict", "/webhook"):
                assert httpx.post(pair.url + path, content=body, auth=AUTH, timeout=30).status_code < 500
    elif what == "damaged adapter":
        project = pair.store.projects.get(team.id)
        assert project is not None
        path = pair.store.files.adapters(team.id).path(project.adapter) / "heads.safetensors"
        if path.exists():
            path.write_bytes(path.read_bytes()[:-1])
    else:
        proxy.strike(what)
    return what


@pytest.mark.soak
def test_half_an_hour_of_everything(
    start: Callable[..., Team], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    minutes = float(os.environ.get("SOAK_MINUTES", "30"))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    rng, struck = random.Random(0), dict[str, int]()
    team = start(
        texts=texts(max(200, int(40 * minutes)), rng), config=_CONFIG, through_proxy=True, patience=900.0,
        TMPDIR=str(scratch), LSAL_BASE_MODEL="minilm", LSAL_BATCH_SIZE="20", LSAL_MAX_STEPS="4",
        LSAL_LEARNING_RATE="", LSAL_MAX_LENGTH="", LSAL_EPOCHS="", LSAL_MIN_STEPS="",  # the defaults
    )  # fmt: skip
    pair: Any = team.backend
    team.proxy.slowness = 2.0  # type: ignore[attr-defined]
    people, watch = Annotators(team, _PAUSE), Watch(pair, scratch)
    began = time.monotonic()
    people.start()
    next_fault = next_sample = next_predict = began + 10
    tasks = [{"data": {"text": text}} for text in texts(20, rng)]
    try:
        while (spent := time.monotonic() - began) < 60 * minutes:
            assert pair.worker.poll() is None, pair.log()[-3000:]
            now = time.monotonic()
            if now >= next_fault:
                what = faults(team, rng, kill=spent < 20 * minutes)
                struck[what] = struck.get(what, 0) + 1
                next_fault = time.monotonic() + rng.uniform(10, 30)
            if now >= next_predict:
                body = {"project": team.id, "tasks": tasks}
                response = httpx.post(f"{pair.url}/predict", json=body, auth=AUTH, timeout=100)
                assert response.status_code in (200, 503), response.text
                next_predict = now + _PREDICT
            if now >= next_sample and spent >= 20 * minutes:
                watch.look()
                next_sample = now + _SAMPLE
            time.sleep(0.5)
    finally:
        people.stop()
        team.proxy.strike(None)  # type: ignore[attr-defined]
    wait_for("every label to arrive", lambda: stored_labels(team) == people.labels, 900.0)
    wait_for("quiet", lambda: not pair.store.events.count() and pair.store.rounds.newest()[-1].state == "done", 900.0)
    resident = psutil.Process(pair.worker.pid).memory_info().rss
    check_nothing_twice_nothing_lost(team, {task: values["topic"] for task, values in people.labels.items()})
    rounds = pair.store.of(team.id).rounds.all()
    print(f"\n{minutes:.0f} minutes: {people.counts}, {len(rounds)} rounds, "
          f"{sum(r.state == 'failed' for r in rounds)} of them failed and tried again")  # fmt: skip
    print("faults: " + ", ".join(f"{count} × {what}" for what, count in sorted(struck.items())))
    for name, (before, after) in watch.growth().items():
        print(f"{name}: {before:.1f} → {after:.1f}")
    print(f"worker at the end: {resident / 2**30:.2f} GiB resident")
    assert resident < _MOST, f"{resident / 2**30:.2f} GiB of the worker are resident"
    growth = watch.growth()
    for name in ("web MB", "worker MB"):
        assert growth[name][1] < 1.1 * growth[name][0] + 20, (name, growth[name])
    for name in ("web files", "worker files", "temporary files"):
        assert growth[name][1] <= growth[name][0] + 5, (name, growth[name])

"""Half an hour of annotators at work while everything that can fails at random: `make soak`.

SOAK_MINUTES says how long. In the first third processes are killed; after that they live, so that their memory, open
files and what they leave on the disk can be watched.
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

from tests.label_studio.faults.conftest import check_nothing_twice_nothing_lost, known_labels
from tests.label_studio.faults.proxy import KINDS
from tests.real import AUTH, Team, truth, wait_for

_SAMPLE = 15.0  # seconds


class Annotators:
    """Two people who label what is served, skip, change their minds and delete, each in a thread."""

    def __init__(self, team: Team, pause: float) -> None:
        self.team, self.pause = team, pause
        self.labels: dict[int, str] = {}
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
            choice = truth(task["data"]["text"])
            made = person.choose(task["id"], choice)
            with self._lock:
                self.counts["labeled"] += 1
                if rng.random() < 0.03:
                    self.team.call("DELETE", f"/api/annotations/{made}/")
                    self.labels.pop(task["id"], None)
                    self.counts["deleted"] += 1
                else:
                    self.labels[task["id"]] = choice


class Watch:
    """Memory, open files and leftovers, looked at again and again."""

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
        """The median of the first and of the last quarter, after a quarter to warm up."""
        rows = self.samples[len(self.samples) // 4 :]
        part = max(1, len(rows) // 4)

        def middle(values: list[float]) -> float:
            return sorted(values)[len(values) // 2]

        return {
            name: (middle([row[name] for row in rows[:part]]), middle([row[name] for row in rows[-part:]]))
            for name in rows[0]
        }


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
    team = start(count=3000, through_proxy=True, TMPDIR=str(scratch), LSAL_BATCH_SIZE="20")
    pair: Any = team.backend
    rng, struck = random.Random(0), {}
    team.proxy.slowness = 2.0  # type: ignore[attr-defined]
    people, watch = Annotators(team, pause=1.0), Watch(pair, scratch)
    began = time.monotonic()
    people.start()
    next_fault = next_sample = began + 10
    texts = [{"data": {"text": f"an apple and a saw {n}"}} for n in range(50)]
    try:
        while (spent := time.monotonic() - began) < 60 * minutes:
            assert pair.worker.poll() is None, pair.log()[-3000:]
            now = time.monotonic()
            if now >= next_fault:
                what = faults(team, rng, kill=spent < 20 * minutes)
                struck[what] = struck.get(what, 0) + 1
                next_fault = time.monotonic() + rng.uniform(10, 30)
            if now >= next_sample:
                body = {"project": team.id, "tasks": texts}
                answer = httpx.post(f"{pair.url}/predict", json=body, auth=AUTH, timeout=100)
                assert answer.status_code in (200, 503), answer.text
                if spent >= 20 * minutes:
                    watch.look()
                next_sample = now + _SAMPLE
            time.sleep(0.5)
    finally:
        people.stop()
        team.proxy.strike(None)  # type: ignore[attr-defined]
    wait_for("every label to arrive", lambda: known_labels(team) == people.labels, 300.0)
    wait_for("quiet", lambda: not pair.store.events.count() and pair.store.rounds.newest()[-1].state == "done", 300.0)
    check_nothing_twice_nothing_lost(team, people.labels)
    rounds = pair.store.of(team.id).rounds.all()
    print(f"\n{minutes:.0f} minutes: {people.counts}, {len(rounds)} rounds, "
          f"{sum(r.state == 'failed' for r in rounds)} of them failed and tried again")  # fmt: skip
    print("faults: " + ", ".join(f"{count} × {what}" for what, count in sorted(struck.items())))
    for name, (before, after) in watch.growth().items():
        print(f"{name}: {before:.1f} → {after:.1f}")
    growth = watch.growth()
    for name in ("web MB", "worker MB"):
        assert growth[name][1] < 1.1 * growth[name][0] + 20, (name, growth[name])
    for name in ("web files", "worker files", "temporary files"):
        assert growth[name][1] <= growth[name][0] + 5, (name, growth[name])

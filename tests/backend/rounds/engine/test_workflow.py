"""The durable workflow with a real DBOS: failures are recorded, and no failure stops a project for good."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.errors import LabelStudioError
from backend.learners.models.cache import BaseModels
from backend.rounds.context import Context
from backend.rounds.engine import workflow
from backend.rounds.engine.notifier import notify
from backend.rounds.engine.workflow import RoundExecutor
from backend.rounds.events import ROUND_REQUESTED
from backend.store import Store
from tests.backend.rounds.memory import Memory
from tests.backend.steps import intercept
from tests.backend.web.test_ml import CONFIG
from tests.conftest import labeled_sentences


@contextlib.contextmanager
def _no_bar(title: str) -> Any:
    yield lambda done, total: None


def until(true: Callable[[], bool], patience: float = 180.0) -> None:
    deadline = time.monotonic() + patience
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


@pytest.fixture
def there(store: Store, tiny_encoder: Path) -> Memory:
    """A connected project of twelve labeled texts, whose queue the team orders itself."""
    made = Memory()
    for number, (text, label) in enumerate(labeled_sentences(12), 1):
        made.put(number, label, text=text)
    options = {"base_model": str(tiny_encoder), "manage_queue": False, "min_steps": 2, "epochs": 1, "batch_size": 5}
    store.projects.connect(7, label_config=CONFIG, options=options, host="b.local:9090")
    return made


@pytest.fixture
def start(store: Store, there: Memory, tmp_path: Path) -> Iterator[Callable[..., RoundExecutor]]:
    """Starts a worker with its notifier, in this process."""
    stop = threading.Event()
    running: list[tuple[RoundExecutor, threading.Thread]] = []

    def run(executor_id: str = "worker-1") -> RoundExecutor:
        context = Context(store=store, client=there, models=BaseModels(), bar=_no_bar)  # type: ignore[arg-type]
        rounds = RoundExecutor(context, tmp_path, executor_id)
        rounds.launch()
        thread = threading.Thread(
            target=notify,
            args=(rounds, store, lambda: None),
            kwargs={"sync_interval": 3600.0, "stop": stop},
            daemon=True,
        )
        thread.start()
        running.append((rounds, thread))
        return rounds

    def halt() -> None:
        stop.set()
        for rounds, thread in running:
            thread.join()
            rounds.stop()
        running.clear()
        stop.clear()

    run.halt = halt  # type: ignore[attr-defined]
    yield run
    halt()


def project(store: Store) -> Any:
    found = store.projects.get(7)
    assert found is not None
    return found


def test_a_round_runs_and_bursts_of_events_make_one(store: Store, start: Callable[..., RoundExecutor]) -> None:
    for _ in range(50):
        store.events.add(7, "ANNOTATION_CREATED")
    start()
    until(lambda: project(store).adapter == 1 and store.events.count() == 0)
    time.sleep(2.5)
    assert [(r.number, r.state, r.reason) for r in store.of(7).rounds.all()] == [(1, "done", "12 newly labeled tasks")]
    assert project(store).turn <= 3


def test_label_studio_away_is_said_and_recovered_from(
    store: Store, there: Memory, start: Callable[..., RoundExecutor], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> Any:
        raise LabelStudioError("Label Studio at http://ls.local cannot be reached")

    monkeypatch.setattr(there, "now", away)
    start()
    until(lambda: project(store).error is not None)
    assert project(store).error == "Label Studio at http://ls.local cannot be reached"
    monkeypatch.undo()
    store.projects.set(7, synced_at=0.0)  # the timer
    until(lambda: project(store).adapter == 1)
    until(lambda: project(store).error is None)


def test_a_turn_that_could_not_even_begin_does_not_block_the_next(
    store: Store, start: Callable[..., RoundExecutor], monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = [1]

    def begin(go_on: Callable[[], Any]) -> Any:
        if failures:
            failures.pop()
            raise OSError("disk I/O error")
        return go_on()

    intercept(monkeypatch, "begin", begin)
    start()
    until(lambda: project(store).error is not None)
    assert project(store).error == "unexpected OSError in the step 'begin'; see the log"
    store.projects.set(7, synced_at=0.0)
    until(lambda: project(store).adapter == 1)


def test_many_projects_run_in_a_bounded_number_of_threads(
    store: Store, start: Callable[..., RoundExecutor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a stranger invents projects and Label Studio is slow to refuse them."""
    goes_on, counting, ended = threading.Event(), threading.Lock(), set()
    running: list[int] = []
    most = 0

    def turn(context: Context, project_id: int, turn: int) -> int:
        nonlocal most
        with counting:
            running.append(project_id)
            most = max(most, len(running))
        goes_on.wait(60)
        with counting:
            running.remove(project_id)
            ended.add(project_id)
        return turn

    monkeypatch.setattr(workflow, "_turn", turn)
    for project_id in range(100, 160):
        store.projects.connect(project_id, label_config=CONFIG, options={}, host="b.local:9090")
    start()
    until(lambda: len(running) == 32)
    goes_on.set()
    until(lambda: len(ended) == 61)
    assert most == 32


@pytest.mark.parametrize("former", ["an earlier worker", "worker-1"])
def test_what_another_version_or_worker_left_is_not_waited_for(
    store: Store, start: Callable[..., RoundExecutor], monkeypatch: pytest.MonkeyPatch, former: str
) -> None:
    entered, release = threading.Event(), threading.Event()

    def stuck(go_on: Callable[[], Any]) -> Any:
        entered.set()
        release.wait(300)
        return go_on()

    intercept(monkeypatch, "train", stuck)
    start(former)
    assert entered.wait(300)
    start.halt()  # type: ignore[attr-defined]
    monkeypatch.undo()
    monkeypatch.setattr(workflow, "STEPS_VERSION", "another")
    monkeypatch.setattr(workflow, "_GRACE", 170.0)  # longer than a busy machine takes
    store.events.add(7, ROUND_REQUESTED)
    since = time.monotonic()
    start("worker-1")
    until(lambda: project(store).adapter == 1)
    assert time.monotonic() - since < workflow._GRACE, "nothing had to be waited for"
    release.set()


def test_stopping_in_the_middle_is_no_failure(
    store: Store, start: Callable[..., RoundExecutor], monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, release = threading.Event(), threading.Event()

    def slow(go_on: Callable[[], Any]) -> Any:
        entered.set()
        release.wait(300)
        return go_on()

    intercept(monkeypatch, "train", slow)
    start()
    assert entered.wait(300)
    start.halt()  # type: ignore[attr-defined]
    release.set()
    time.sleep(1.0)
    (unfinished,) = store.of(7).rounds.all()
    assert (unfinished.state, unfinished.error, project(store).error) == ("running", None, None)
    start()
    until(lambda: store.of(7).rounds.all()[0].state == "done")
    assert [r.number for r in store.of(7).rounds.all()] == [1]

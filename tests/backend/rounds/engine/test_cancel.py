"""A training that nobody wants any more ends before its next step."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend.errors import CancelledError, TimeOverError
from backend.overview.state import state
from backend.rounds import commands
from backend.rounds.context import Context
from backend.rounds.engine import recording
from backend.rounds.engine.workflow import RoundExecutor
from backend.rounds.events import SETUP
from backend.store import Store
from tests.backend.rounds.engine.test_workflow import project, start, there, until  # noqa: F401
from tests.backend.rounds.memory import Memory
from tests.backend.rounds.steps.test_react import label, started
from tests.backend.steps import do, opened, reason
from tests.backend.web.test_ml import CONFIG

ENDLESS = {"min_steps": 20_000, "max_steps": 20_000}


def pause(store: Store) -> None:
    commands.pause(store, 7, paused=True)


def cancel(store: Store) -> None:
    commands.cancel(store, 7)


def disconnect(store: Store) -> None:
    store.projects.set(7, connected=False)


def other_options(store: Store) -> None:
    options = {**project(store).options, "min_steps": 2, "max_steps": 2}
    store.projects.connect(7, label_config=CONFIG, options=options, host="b.local:9090")
    store.events.add(7, SETUP)


@pytest.mark.parametrize(
    ("end", "cause"),
    [
        (pause, "was paused"),
        (cancel, "a person cancelled it"),
        (disconnect, "was disconnected"),
        (other_options, "the options changed"),
    ],
)
def test_a_training_ends_when_its_project_is(
    store: Store,
    there: Memory,  # noqa: F811
    start: Callable[..., RoundExecutor],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    end: Callable[[Store], None],
    cause: str,
) -> None:
    store.projects.set(7, options={**project(store).options, **ENDLESS})
    store.events.add(7, "ANNOTATION_CREATED")
    start()

    def first() -> Any:
        return store.of(7).rounds.get(1)

    until(lambda: first() is not None and first().progress is not None)
    if end is disconnect:  # else the next sync connects it again
        monkeypatch.setattr(there, "backends", lambda project_id: [])
    end(store)
    until(lambda: first().state == "cancelled")
    assert cause in first().error
    assert (project(store).adapter, project(store).error) == (0, None)
    if end is other_options:
        until(lambda: project(store).adapter == 1)
        assert store.of(7).rounds.get(2).options["max_steps"] == 2  # type: ignore[union-attr,index]
        return
    time.sleep(2.0)
    assert store.of(7).rounds.get(2) is None
    if end is pause:
        commands.pause(store, 7, paused=False)
        until(lambda: (second := store.of(7).rounds.get(2)) is not None and second.reason == "12 newly labeled tasks")
        pause(store)


def test_a_training_has_a_longest_time(context: Context, store: Store, tiny_encoder: Path) -> None:
    started(context, store, tiny_encoder, **ENDLESS)
    label(store, *range(1, 15))
    context = replace(context, max_hours=1e-6)
    assert do(context, "decide", actions=["START_TRAINING"]) == 2
    with pytest.raises(TimeOverError, match="raise MAX_HOURS, then resume") as raised:
        do(context, "train", 2)
    recording.pause_and_fail(opened(context, number=2), str(raised.value))
    assert reason(context) is None
    assert project(store).error == str(raised.value)
    commands.pause(store, 7, paused=False)
    store.of(7).rounds.set(2, finished_at=0.0)
    assert reason(context, ["resumed"]) is not None


def test_a_pause_between_two_steps_cancels_the_next(context: Context, store: Store, tiny_encoder: Path) -> None:
    started(context, store, tiny_encoder)
    assert do(context, "decide", actions=["START_TRAINING"]) == 2
    pause(store)
    for step in ("train", "score", "evaluate"):
        with pytest.raises(CancelledError, match="was paused"):
            do(context, step, 2)


def test_a_round_that_somebody_requested_in_a_pause_runs(context: Context, store: Store, tiny_encoder: Path) -> None:
    started(context, store, tiny_encoder)
    pause(store)
    label(store, *range(1, 15))
    assert do(context, "decide", actions=["START_TRAINING"]) == 2
    assert do(context, "train", 2) == 2


def test_what_is_computed_after_a_round_ends_quietly(context: Context, store: Store, tiny_encoder: Path) -> None:
    started(context, store, tiny_encoder)
    run = opened(context, number=1)
    assert (run.round.state, run.round.paused) == ("done", False)
    pause(store)
    assert run.attempt("embeddings ahead", run.require_wanted) is None
    assert store.of(7).rounds.get(1).state == "done"  # type: ignore[union-attr]


def test_a_project_that_waits_for_another_is_cancelled_too(context: Context, store: Store, tiny_encoder: Path) -> None:
    started(context, store, tiny_encoder)
    waiting = opened(context)
    assert not waiting.project.paused
    pause(store)
    with (
        context.computing.turn("another", pytest.fail),
        pytest.raises(CancelledError, match="was paused"),
        waiting.alone("train"),
    ):
        pytest.fail("it computes")


def test_after_a_cancelled_round_a_batch_of_labels_starts_the_next(
    context: Context, store: Store, tiny_encoder: Path
) -> None:
    started(context, store, tiny_encoder, batch_size=5)
    label(store, *range(1, 15))
    with pytest.raises(commands.CommandError, match="no round of project 7 runs"):
        cancel(store)
    assert do(context, "decide") == 2
    cancel(store)
    with pytest.raises(CancelledError) as raised:
        do(context, "train", 2)
    recording.cancel(opened(context, number=2), str(raised.value))
    assert reason(context) is None
    assert reason(context, ["START_TRAINING"]) is not None
    label(store, *range(15, 19))
    assert reason(context) is None
    store.workers.beat("worker-1", None)
    assert state(store, project(store))["missing"] == 1
    label(store, 19)
    assert reason(context) == "5 newly labeled tasks"


def test_requests_from_before_it_are_cancelled_too(context: Context, store: Store, tiny_encoder: Path) -> None:
    started(context, store, tiny_encoder)
    assert do(context, "decide", actions=["START_TRAINING"]) == 2
    commands.start_round(store, 7)
    cancel(store)
    assert store.events.after(7, 0)[1] == {"cancel"}


def test_a_cancelled_rollback_is_withdrawn(context: Context, store: Store, tiny_encoder: Path) -> None:
    started(context, store, tiny_encoder)
    commands.rollback(store, 7, 1)
    assert do(context, "decide", actions=["rollback"]) == 2
    cancel(store)
    recording.cancel(opened(context, number=2), "a person cancelled it")
    assert project(store).back_to is None


def test_the_last_labels_are_learned_after_a_cancelled_round(
    context: Context, store: Store, tiny_encoder: Path
) -> None:
    started(context, store, tiny_encoder, batch_size=50)
    assert do(context, "decide", actions=["START_TRAINING"]) == 2
    cancel(store)
    recording.cancel(opened(context, number=2), "a person cancelled it")
    label(store, *range(1, 10))
    store.of(7).rounds.set(1, finished_at=0.0)
    store.of(7).rounds.set(2, finished_at=0.0)
    assert reason(context) is None
    store.of(7).tasks.keep_only(range(1, 10))
    assert reason(context) == "9 newly labeled tasks, the last ones"

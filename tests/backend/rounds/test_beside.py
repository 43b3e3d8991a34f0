"""Labels that arrive while a round computes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend.errors import BackendError, FencedError
from backend.rounds import beside
from backend.rounds.context import Context, ProjectRun
from backend.rounds.steps import react, sync
from backend.store import Store
from tests.backend.played import project_of
from tests.backend.rounds.engine.test_workflow import until
from tests.backend.rounds.steps.test_react import COUNT, label, published, queue, started, surprise  # noqa: F401
from tests.backend.steps import do, fail, opened


@pytest.fixture
def arriving(monkeypatch: pytest.MonkeyPatch, store: Store) -> list[int]:
    """Tasks whose unexpected labels arrive, each at one look, as long as there are any."""
    waiting: list[int] = []

    def read_labels(_run: ProjectRun) -> None:
        if waiting:
            surprise(store, waiting.pop(0))
            store.events.add(7, "ANNOTATION_CREATED")

    monkeypatch.setattr(beside, "_EVERY", 0.0)
    monkeypatch.setattr(beside, "_TIMES", 0.0)
    monkeypatch.setattr(sync, "read_labels", read_labels)
    return waiting


def watching(context: Context, store: Store, tiny: Path, labels: int = 14) -> Context:
    """A project in round 2, which is about to train on some labels."""
    started(context, store, tiny, epochs=4, min_steps=30)
    label(store, *[task for task in range(1, COUNT + 1) if task not in queue(store)][:labels])
    do(context, "react")
    context = replace(context, watch=beside.watch)
    assert do(context, "decide", actions=["START_TRAINING"]) == 2
    return context


def two_arrive(store: Store, arriving: list[int]) -> tuple[list[int], int]:
    """Labels of the first two tasks of the queue arrive. Returns the queue and the head's number before that."""
    before, head = queue(store), project_of(store).head
    arriving += before[:2]
    store.events.add(7, "ANNOTATION_CREATED")
    return before, head


def test_the_queue_follows_while_the_adapter_trains(
    context: Context,
    store: Store,
    tiny_encoder: Path,
    arriving: list[int],
    published: list[int],  # noqa: F811
) -> None:
    context = watching(context, store, tiny_encoder)
    before, head = two_arrive(store, arriving)
    version = do(context, "train", 2)
    found = project_of(store)
    assert version == 2
    assert (found.adapter, found.head, found.head_labels) == (1, head + 2, 16), "the old adapter's head knows them all"
    assert not set(before[:2]) & set(queue(store))
    seen = store.of(7).tasks.first_known()
    assert set(seen.values()) == {2}
    assert not set(before[:2]) & set(seen), "they are of the next round"
    assert store.of(7).tasks.count_new_labels() == 2
    do(context, "serve", 2, version=2)
    assert react.is_due(opened(context)), "the new adapter's head does not know them yet"


def test_the_queue_follows_while_another_project_computes(
    context: Context,
    store: Store,
    tiny_encoder: Path,
    arriving: list[int],
    published: list[int],  # noqa: F811
) -> None:
    context = watching(context, store, tiny_encoder)
    before, head = two_arrive(store, arriving)
    with ThreadPoolExecutor() as pool:
        with context.computing.turn("another", pytest.fail):
            training = pool.submit(do, context, "train", 2)
            until(lambda: project_of(store).head == head + 2)
            assert not training.done()
        assert training.result() == 2
    assert not set(before[:2]) & set(queue(store))


def test_a_failed_round_has_learned_nothing(
    context: Context,
    store: Store,
    tiny_encoder: Path,
    published: list[int],  # noqa: F811
) -> None:
    context = watching(context, store, tiny_encoder)
    do(context, "train", 2)
    assert store.of(7).tasks.count_new_labels() == 0
    fail(context, 2, "a reason")
    assert store.of(7).tasks.count_new_labels() == 14


@pytest.mark.parametrize("options", [{"number": None}, {"accelerate_config": Path("x")}])
def test_nothing_is_read_between_rounds_or_while_other_processes_train(
    context: Context, store: Store, tiny_encoder: Path, options: dict[str, Any]
) -> None:
    started(context, store, tiny_encoder)
    assert beside.may_react(replace(opened(context), number=2))
    assert not beside.may_react(replace(opened(context), **{"number": 2, **options}))


def looking(context: Context, monkeypatch: pytest.MonkeyPatch, error: Exception) -> Callable[[], None]:
    def broken(_run: ProjectRun) -> None:
        raise error

    monkeypatch.setattr(beside, "_EVERY", 0.0)
    monkeypatch.setattr(sync, "read_labels", broken)
    context.store.events.add(7, "ANNOTATION_CREATED")
    return beside.watch(replace(opened(context), number=2))


def test_the_round_goes_on_after_an_error(
    context: Context,
    store: Store,
    tiny_encoder: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    started(context, store, tiny_encoder)
    for error in (BackendError("Label Studio is away"), ValueError("odd")):
        looking(context, monkeypatch, error)()
    assert "new labels wait for the end of the round" in caplog.text
    with pytest.raises(FencedError):
        looking(context, monkeypatch, FencedError("taken over"))()


def test_the_base_model_at_work_computes_nothing_more(context: Context, store: Store, tiny_encoder: Path) -> None:
    started(context, store, tiny_encoder)
    base = beside._Stored(context.models).embedder(str(tiny_encoder))
    assert base.name == str(tiny_encoder)
    with pytest.raises(BackendError, match="the base model is at work"):
        base.embed(["a text"], max_length=8)

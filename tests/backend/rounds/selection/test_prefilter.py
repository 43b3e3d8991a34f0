"""Rounds in which the adapter reads a part of the pool."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.errors import UnsupportedConfigError
from backend.labelstudio.label_config.parse import parse
from backend.learners.learner import LoraLearner
from backend.options import ProjectOptions
from backend.rounds.context import Context
from backend.rounds.selection.compatibility import refuse_unsupported
from backend.rounds.selection.prefilter import to_score
from backend.rounds.steps.publish import predictions
from backend.store import Store
from tests.backend.rounds.selection.test_compatibility import config
from tests.backend.rounds.selection.test_compatibility import fill as fill_kinds
from tests.backend.rounds.test_rounds import fill
from tests.backend.steps import opened
from tests.backend.steps import play as run


def _on_the_list(store: Store, version: int) -> set[int]:
    waiting = store.of(7).tasks.listed_waiting(audit=False)
    return set(waiting.ids[store.files.scores(7, version).rows(waiting.digests) >= 0].tolist())


@pytest.mark.parametrize("by", ["probe", "neighbors"])
def test_the_adapter_reads_its_share_and_no_more(
    by: str, context: Context, store: Store, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    real = LoraLearner.score

    def watched(learner: Any, texts: list[str], *args: Any, **kwargs: Any) -> Any:
        read.extend(texts)
        return real(learner, texts, *args, **kwargs)

    monkeypatch.setattr(LoraLearner, "score", watched)
    fill(store, tiny_encoder, count=200, labeled=20, shortlist=0.25, shortlist_by=by, max_steps=12, min_steps=12)
    waiting, labeled = store.of(7).tasks.listed_waiting(audit=False), store.of(7).tasks.labeled(audit=False)
    held_out = {task.text for task in (*store.of(7).tasks.waiting(audit=True), *store.of(7).tasks.labeled(audit=True))}
    version = run(context, 1)
    on_it = _on_the_list(store, version)
    size = int(np.ceil(0.25 * len(waiting.ids)))
    assert len(set(read) - {e.text for e in labeled} - held_out) <= size
    assert {item.task_id for item in store.of(7).rounds.queue(1) if not item.audit} <= on_it
    assert store.of(7).rounds.get(1).candidates == len(on_it) < len(waiting.ids)  # type: ignore[union-attr]
    scores = store.files.scores(7, version)
    assert (scores.rows([e.digest for e in labeled]) >= 0).all()
    assert (scores.rows(store.of(7).tasks.listed_waiting(audit=True).digests) >= 0).all(), (
        "rounds are compared by these"
    )


def test_the_queue_is_filled_from_a_short_list(context: Context, store: Store, tiny_encoder: Path) -> None:
    fill(store, tiny_encoder, count=100, labeled=20, shortlist=0.001, queue_size=30, max_steps=12, min_steps=12)
    run(context, 1)
    assert len(store.of(7).rounds.queue(1)) == 30


def test_a_cold_start_chooses_from_all(context: Context, store: Store, tiny_encoder: Path) -> None:
    fill(store, tiny_encoder, count=60, labeled=12, shortlist=0.2, cold_start_per_class=30, max_steps=12, min_steps=12)
    run(context, 1)
    found = store.of(7).rounds.get(1)
    assert found is not None
    assert (found.strategy, found.candidates) == ("k_means", len(store.of(7).tasks.listed_waiting(audit=False).ids))
    items = [item.task_id for item in store.of(7).rounds.queue(1) if not item.audit]
    assert not set(items) <= _on_the_list(store, 1), "some were never read by the adapter"
    shown = predictions(opened(context, version=1), "p7-a1-q1", store.of(7).rounds.queue(1))
    assert {each["task"] for each in shown if each["result"]} == set(items) & _on_the_list(store, 1)


def test_many_copies_of_few_texts(context: Context, store: Store, tiny_encoder: Path) -> None:
    near = {"shortlist": 0.1, "shortlist_by": "neighbors", "queue_size": 20, "audit_share": 0}
    fill(store, tiny_encoder, count=30, labeled=12, max_steps=12, min_steps=12, **near)
    store.of(7).tasks.put_texts([(100 + n, "an apple") for n in range(400)], seed=0, audit_share=0.0)
    run(context, 1)
    items = store.of(7).rounds.queue(1)
    assert len(items) == 20
    assert not any(item.audit for item in items)


@pytest.mark.parametrize(
    ("strategy", "share", "drawn"),
    [("sampled", 1.0, True), ("sampled", 0.3, False), ("random", 1.0, True), ("random", 0.3, True)],  # from all
)
def test_what_is_drawn_from_a_list_corrects_nothing(
    strategy: str, share: float, drawn: bool, context: Context, store: Store, tiny_encoder: Path
) -> None:
    fill(store, tiny_encoder, count=100, labeled=20, strategy=strategy, shortlist=share, max_steps=12, min_steps=12)
    run(context, 1)
    known = [item.probability is not None for item in store.of(7).rounds.queue(1) if not item.audit]
    assert set(known) == {drawn}


@pytest.mark.parametrize("kinds", [["multilabel"], ["regression"], ["spans", "classification"]])
def test_every_kind_has_a_look(kinds: list[Any], context: Context, store: Store, tiny_encoder: Path) -> None:
    fill_kinds(store, tiny_encoder, kinds, count=80, labeled=20, shortlist=0.3)
    run(context, 1)
    assert 0 < len(_on_the_list(store, 1)) < len(store.of(7).tasks.listed_waiting(audit=False).ids)


def test_a_probe_for_numbers_is_refused() -> None:
    options = ProjectOptions.from_extra_params({"shortlist": 0.5, "shortlist_by": "probe"})
    with pytest.raises(UnsupportedConfigError, match="a probe needs classes, and the label config has none"):
        refuse_unsupported(options, parse(config("regression")).targets)
    refuse_unsupported(options, parse(config("spans", "classification")).targets)


def test_without_any_label_a_share_is_drawn(context: Context, store: Store, tiny_encoder: Path) -> None:
    fill(store, tiny_encoder, count=200, shortlist=0.25)
    targets = context.open(7).spec.targets
    found = to_score(opened(context), targets)
    waiting = store.of(7).tasks.listed_waiting(audit=False)
    assert len(np.intersect1d(found.ids, waiting.ids)) == int(np.ceil(0.25 * len(waiting.ids)))
    again = to_score(opened(context), targets)
    np.testing.assert_array_equal(found.ids, again.ids)

"""The accuracy that a round reports, from held-out labels and the adapter's confidences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.evaluation.bounds import interval, level, lower_end
from backend.evaluation.estimators import ESTIMATORS, Sample
from backend.options import ProjectOptions
from backend.rounds.context import Context
from backend.rounds.quality.accuracy import accuracy as measured
from backend.rounds.quality.goals import check
from backend.store import Store
from backend.store.sql.models import Round
from backend.targets import Target
from tests.backend.rounds.steps.test_evaluate import of_round, say
from tests.backend.rounds.test_rounds import fill
from tests.backend.steps import opened, play


def accuracy(store: Store, number: int) -> Any:
    return of_round(store, number)["controls"]["topic"]


def test_each_estimator_is_reported_and_one_shown(context: Context, store: Store, tiny_encoder: Path) -> None:
    fill(store, tiny_encoder, count=200, labeled=100, audit_share=0.4)
    play(context, 1)
    found, mine = accuracy(store, 1), store.of(7)
    labeled, open_ones = mine.tasks.labeled(audit=True), mine.tasks.listed_waiting(audit=True)
    adapter = mine.rounds.adapter(1)
    assert adapter is not None
    classes = adapter.targets[0]["classes"]
    of_labeled, of_open = (
        store.files.scores(7, 1).take("topic/probs", np.array(digests))
        for digests in ([each.digest for each in labeled], open_ones.digests)
    )
    right = np.array(
        [classes[row.argmax()] == each.values["topic"] for row, each in zip(of_labeled, labeled, strict=True)]
    )
    assert (found["labels"], found["correct"]) == (len(labeled), right.sum())
    sample = Sample(right, of_labeled.max(axis=1), of_open.max(axis=1))
    for name, estimator in ESTIMATORS.items():
        assert found["estimates"][name] == pytest.approx(estimator(sample)._asdict(), rel=1e-4)
    assert (found["score"], found["effective"]) == tuple(found["estimates"]["prediction_powered"].values())
    assert (found["low"], found["high"]) == interval(found["score"], found["effective"])


def test_more_held_out_labels_of_the_same_adapter_are_another_measurement(
    context: Context, store: Store, tiny_encoder: Path
) -> None:
    fill(store, tiny_encoder, count=200, labeled=60, audit_share=0.4)
    assert play(context, 1) == 1
    store.of(7).rounds.set(1, state="done", adapter=1)
    assert play(context, 2) == 1
    assert accuracy(store, 2) == accuracy(store, 1), "the same labels are no other measurement"
    store.of(7).rounds.set(2, state="done", adapter=1)
    say(store, store.of(7).tasks.listed_waiting(audit=True).ids[:10].tolist())
    say(store, store.of(7).tasks.listed_waiting(audit=True).ids[:5].tolist(), skipped=True)
    assert play(context, 3) == 1
    found = accuracy(store, 3)
    assert found["labels"] == accuracy(store, 1)["labels"] + 10
    assert (found["low"], found["high"]) == interval(found["score"], found["effective"], 2, 5 / (found["labels"] + 5))


def test_held_out_labels_are_measured_by_the_scores_of_the_pool(
    context: Context, store: Store, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The adapter is not loaded a second time."""
    fill(store, tiny_encoder, count=100, labeled=40, audit_share=0.3)
    monkeypatch.setattr("backend.rounds.steps.evaluate.load", pytest.fail)
    assert play(context, 1) == 1
    assert accuracy(store, 1)["labels"] > 0


def test_a_control_that_some_held_out_tasks_lack_is_measured_by_its_labels_alone(
    context: Context, store: Store, tiny_encoder: Path
) -> None:
    """Its other tasks may be of another kind, for example those that hide it."""
    fill(store, tiny_encoder, count=200, labeled=60, audit_share=0.4)
    play(context, 1)
    right = np.arange(40) % 3 > 0
    probs = np.stack([0.5 + 0.4 * right, 0.5 - 0.4 * right], axis=1)
    adapter = store.of(7).rounds.adapter(1)
    assert adapter is not None
    target = Target.from_json(adapter.targets[0])
    everywhere, somewhere = (
        measured(opened(context, number=1, version=1), target, right, probs, 0.0, everywhere=each)
        for each in (True, False)
    )
    assert everywhere["effective"] > 40
    assert (somewhere["score"], somewhere["effective"]) == (right.mean(), 40)


def test_the_stopping_rule_uses_the_labels_alone(store: Store) -> None:
    options = ProjectOptions.from_extra_params({"target": 0.9})
    target = Target("topic", "classification", ("fruit", "tool"))
    found = {"metric": "accuracy", "score": 0.999, "effective": 900.0, "low": 0.99, "high": 1.0, "labels": 100,
             "correct": 80, "estimates": {"held_out": {"score": 0.8, "effective": 100.0}}}  # fmt: skip
    this = Round(evaluation={"labels": 100, "skipped": 0, "controls": {"topic": found}}, stopping=None)
    test: Any = check({"topic": 0.9}, [target], this, [], options)
    assert not test["reached"]
    assert test["found"]["topic"]["sure"] == lower_end(0.8, 100, level(100, 0))
    this.evaluation["skipped"] = 25  # type: ignore[index]
    with_skipped: Any = check({"topic": 0.9}, [target], this, [], options)
    assert with_skipped["found"]["topic"]["sure"] == pytest.approx(lower_end(80 / 125, 125, level(100, 0)))

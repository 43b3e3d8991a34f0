"""A team writes a strategy into *Extra params* and gets it: the queue is what the papers' formulas say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from backend.learners.base import GradientOptions
from backend.learners.learner import LoraLearner
from backend.learners.models.base_model import BaseModel
from tests.backend.learners.test_gradients import slow_lengths
from tests.conftest import class_probs, labeled_sentences
from tests.real import BATCH, Team


def gradient_length(classifier: LoraLearner, texts: list[str]) -> np.ndarray:
    options = GradientOptions(label="expected", top_k=3)
    return np.array([slow_lengths(classifier, text, options) for text in texts])


def last_layer_gradient_length(classifier: LoraLearner, texts: list[str]) -> np.ndarray:
    """|p − onehot(ŷ)| |h|: BADGE begins with the longest."""
    found = classifier.score(texts, ["probs", "features"])
    residuals = found["topic/probs"] - np.eye(3)[found["topic/probs"].argmax(axis=1)]
    return np.linalg.norm(residuals, axis=1) * np.linalg.norm(found["features"], axis=1)


def disagreement(classifier: LoraLearner, texts: list[str]) -> np.ndarray:
    """H(mean) − mean H over the adapter and its two fellows, each loaded and asked alone."""
    members = [class_probs(classifier, texts)]
    for number in (1, 2):
        fellow = LoraLearner.load(classifier.base, f"fellow-{number}", classifier.folder / f"member-{number}")
        members.append(class_probs(fellow, texts))
    probs = np.stack(members).astype(np.float64)

    def entropy(p: np.ndarray) -> np.ndarray:
        return -(p * np.log(p)).sum(axis=-1)

    found: np.ndarray = entropy(probs.mean(axis=0)) - entropy(probs).mean(axis=0)
    return found


@pytest.mark.parametrize(
    ("extra_params", "formula", "whole_order"),
    [
        ({"strategy": "egl", "egl_label": "expected", "egl_top_k": 3}, gradient_length, True),
        ({"strategy": "bald", "committee": "lora", "members": 3}, disagreement, True),
        ({"strategy": "badge"}, last_layer_gradient_length, False),
    ],
    ids=lambda value: value.get("strategy") if isinstance(value, dict) else "",
)
def test_the_queue_is_the_strategys(
    team: Team,
    extra_params: dict[str, Any],
    formula: Callable[[LoraLearner, list[str]], np.ndarray],
    whole_order: bool,
) -> None:
    team.create([text for text, _ in labeled_sentences(60)])
    team.connect(cold_start_per_class=0, **extra_params)
    team.wait_for_round(1)
    team.label_batch()
    done = team.wait_for_round(2)
    assert (done.strategy, done.adapter) == (extra_params["strategy"], 1)

    store = team.backend.store
    candidates = store.of(team.id).tasks.waiting(audit=False)
    adapter = store.of(team.id).rounds.adapter(1)
    assert adapter is not None
    base = BaseModel(adapter.base_model, device="cpu")
    classifier = LoraLearner.load(base, "recomputed", store.files.adapters(team.id).path(1))
    scores = formula(classifier, [task.text for task in candidates])
    expected = [candidates[row].id for row in np.argsort(-scores)]

    version = f"p{team.id}-a1-q2"
    assert team.project()["model_version"] == version
    held_out = {task.id for task in store.of(team.id).tasks.waiting(audit=True)}
    in_label_studio = [p["task"] for p in sorted(team.predictions(version), key=lambda p: p["score"])]
    chosen = [task for task in in_label_studio if task not in held_out]
    assert len(chosen) > BATCH
    if whole_order:
        assert chosen == expected[: len(chosen)]
    else:
        assert chosen[0] == expected[0]
        assert chosen != expected[: len(chosen)]
    served = team.annotators[0].next_task(team.id)
    assert served is not None
    assert served["id"] == in_label_studio[0]

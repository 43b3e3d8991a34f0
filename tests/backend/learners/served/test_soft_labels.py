"""Soft labels: how far a teacher is trusted, and what it adds to a local model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from backend.learners.served.prompts import Prompt
from backend.learners.served.soft_labels import Labels, calibrated, soft_labels
from backend.targets import SIDES, Target

CLASSES = ("a", "b", "c")
TOPIC = Target("topic", "classification", CLASSES)
TAGS = Target("tags", "multilabel", CLASSES)
BETTER = Target("better", "pairwise", SIDES)


def answers(truth: Any, accuracy: float, rng: np.random.Generator, classes: int = 3) -> Any:
    """Log-probabilities of a teacher that is sure of each answer: (N, C)."""
    given = np.where(
        rng.random(len(truth)) < accuracy, truth, (truth + 1 + rng.integers(classes - 1, size=len(truth))) % classes
    )
    probs = np.full((len(truth), classes), 0.01 / (classes - 1))
    probs[np.arange(len(truth)), given] = 0.99
    return np.log(probs)


def labels_of(truth: Any, count: int) -> Labels:
    return Labels(range(count), [CLASSES[each] for each in truth[:count]])


def test_without_labels_the_teacher_is_believed() -> None:
    own = np.log([[0.7, 0.2, 0.1]])
    assert calibrated(Prompt(TOPIC, ""), own, Labels([], [])) == pytest.approx(np.exp(own), abs=1e-5)


@pytest.mark.parametrize("accuracy", [0.5, 0.75, 0.95])
def test_labels_correct_its_confidence(accuracy: float) -> None:
    """It is always 99 % sure. After 60 labels its confidence is near its accuracy."""
    rng = np.random.default_rng(0)
    truth = rng.integers(3, size=2000)
    found = calibrated(Prompt(TOPIC, ""), answers(truth, accuracy, rng), labels_of(truth, 60))
    assert found.max(axis=1).mean() == pytest.approx(accuracy, abs=0.12)
    assert (found.argmax(axis=1) == truth).mean() > accuracy - 0.05
    assert found.sum(axis=1) == pytest.approx(1.0, abs=1e-5)


def test_a_systematic_error_is_corrected() -> None:
    """It calls each b a c."""
    truth = np.random.default_rng(0).integers(3, size=300)
    wrong = answers(np.where(truth == 1, 2, truth), 1.0, np.random.default_rng(1))
    prompt = Prompt(TOPIC, "")
    before = calibrated(prompt, wrong, Labels([], []))
    after = calibrated(prompt, wrong, labels_of(truth, 100))
    right = [-np.log(found[np.arange(300), truth])[100:].mean() for found in (before, after)]
    assert right[1] < right[0] / 2


def test_a_teacher_that_guesses_says_nothing() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(3, size=2000)
    found = soft_labels(Prompt(TOPIC, ""), answers(truth, 1 / 3, rng), labels_of(truth, 100))
    assert found.max() < 0.5
    assert found.sum(axis=1) == pytest.approx(1.0)


@pytest.mark.parametrize("count", [50, 200])
def test_a_rare_class_is_not_thought_unlikely(count: int) -> None:
    """8 % are b. The teacher is right in 80 % of both classes, so that "b" is four times as likely if it is b."""
    rng = np.random.default_rng(0)
    topic = Target("topic", "classification", ("a", "b"))
    truth = np.array([0, 1, *[0] * 11] * 80)[: count + 500]
    own = answers(truth, 0.8, rng, classes=2)
    soft = soft_labels(Prompt(topic, ""), own, Labels(range(count), ["ab"[each] for each in truth[:count]]))
    rare = soft[own.argmax(axis=1) == 1]
    assert rare[:, 1].mean() > 0.65


def test_a_certain_answer_leaves_some_doubt() -> None:
    sure = np.array([[0.0, -20.0, -20.0]])
    assert soft_labels(Prompt(TOPIC, ""), sure, Labels([], [])).min() > 1e-4


def test_several_labels_and_comparisons() -> None:
    """Rows of several labels need not sum to 1; of a comparison they do, and exchanged answers exchange them."""
    own = np.log([[0.6, 0.1, 0.1, 0.2], [0.05, 0.05, 0.1, 0.8]])
    tags = calibrated(Prompt(TAGS, ""), own, Labels([0], [["a"]]))
    assert tags.shape == (2, 3)
    assert tags[0, 0] > 0.5 > tags[1, 0]
    soft = soft_labels(Prompt(TAGS, ""), own, Labels([0, 1], [["a"], []]))
    assert ((soft > 0) & (soft < 1)).all()
    assert soft[0, 0] > 0.5 > soft[1, 0]
    odds = np.array([[2.0, 1.0], [-2.0, -1.0]])
    better = calibrated(Prompt(BETTER, ""), odds, Labels([0], ["left"]))
    assert better.sum(axis=1) == pytest.approx(1.0, abs=1e-5)
    assert better[0] == pytest.approx(better[1][::-1], abs=1e-5)

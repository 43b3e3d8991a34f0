"""Class names as prior knowledge, on vectors whose geometry is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.learners.heads.class_names import Frame, NamePrior, believe, directions, name_prior
from backend.learners.heads.map_head import Fixed
from backend.learners.kinds import head_of
from backend.targets import Target

Head = Any
DIMENSIONS, CLASSES = 16, ("fruit", "tool", "animal", "city")
TOPIC = Target("topic", "classification", CLASSES)
TAGS = Target("tags", "multilabel", CLASSES)
CENTER = np.full(DIMENSIONS, 3.0)


def world(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Texts around the directions of their classes, off the origin; their class numbers; and vectors of the names."""
    rng = np.random.default_rng(seed)
    meanings = np.random.default_rng(99).normal(size=(len(CLASSES), DIMENSIONS))
    classes = rng.integers(len(CLASSES), size=count)
    texts = CENTER + meanings[classes] + 0.8 * rng.normal(size=(count, DIMENSIONS))
    return texts.astype(np.float32), classes, (meanings + 5).astype(np.float32)


def start(head: Head, names: np.ndarray, labeled: np.ndarray, values: list[Any], unlabeled: np.ndarray) -> float:
    prior = name_prior(head.target, names, labeled, values, unlabeled)
    prior.fit(head, labeled, values)
    return prior.belief


def probs(head: Head, vectors: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        found: np.ndarray = head.outputs(Fixed.of(torch.from_numpy(vectors)))["probs"].numpy()
    return found


def accuracy(names: np.ndarray, labels: int, seed: int = 0) -> tuple[float, float]:
    """Of new texts, after this many labels; and the belief in the names."""
    texts, classes, _ = world(400, seed)
    head = head_of(TOPIC, DIMENSIONS)
    values = [CLASSES[number] for number in classes[:labels]]
    belief = start(head, names, texts[:labels], values, texts[labels:200])
    return float((probs(head, texts[200:]).argmax(axis=1) == classes[200:]).mean()), belief


def test_names_alone_are_right_before_any_label() -> None:
    right, belief = accuracy(world(1)[2], 0)
    assert belief == 1.0
    assert right > 0.9


def test_logits_are_eight_times_the_cosine_on_average() -> None:
    texts, _, names = world(300)
    head = head_of(TOPIC, DIMENSIONS)
    start(head, names, texts[:0], [], texts)
    centred = texts - texts.mean(axis=0)
    unit = names / np.linalg.norm(names, axis=1, keepdims=True)
    unit = unit - unit.mean(axis=0)
    cosines = (centred @ unit.T) / np.linalg.norm(unit, axis=1) / np.linalg.norm(centred, axis=1).mean()
    with torch.no_grad():
        logits = head.linear(torch.from_numpy(texts)).numpy()
    np.testing.assert_allclose(logits, 8 * cosines, atol=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_shuffled_names_lose_their_influence(seed: int) -> None:
    shuffled = world(1)[2][[1, 2, 3, 0]]
    right, belief = accuracy(shuffled, 60, seed)
    none, _ = accuracy(np.zeros_like(shuffled), 60, seed)
    assert belief < 0.1
    assert right >= none - 0.01


def test_a_class_without_labels_is_known_by_its_name() -> None:
    texts, classes, names = world(400)
    known = np.flatnonzero(classes[:100] != 3)
    head = head_of(TOPIC, DIMENSIONS)
    start(head, names, texts[:100][known], [CLASSES[number] for number in classes[:100][known]], texts[100:200])
    found = probs(head, texts[200:]).argmax(axis=1)
    assert (found[classes[200:] == 3] == 3).mean() > 0.8


def test_several_labels_have_the_number_that_texts_have() -> None:
    texts, classes, names = world(300)
    head = head_of(TAGS, DIMENSIONS)
    start(head, names, texts[:0], [], texts)
    found = probs(head, texts)
    assert found.sum(axis=1).mean() == pytest.approx(1.0, abs=0.01), "one without labels"
    assert (found.argmax(axis=1) == classes).mean() > 0.9
    values = [sorted({CLASSES[number], "city"}) for number in classes[:60]]
    start(head, names, texts[:60], values, texts[60:])
    after = probs(head, texts[60:])
    assert (after[:, 3] > 0.5).mean() > 0.9, "a label that every text has"


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 30), st.integers(0, 100), st.booleans())
def test_the_belief_is_the_most_probable_of_all(labels: int, seed: int, several: bool) -> None:
    texts, classes, names = world(60, seed)
    hot = np.eye(len(CLASSES), dtype=bool)[classes[:labels]]
    weights, vectors = directions(names), Frame.of(texts)(texts)
    belief, bias = believe(weights, vectors, hot, several=several)
    assert 0 <= belief <= 2

    def log_probability(factor: float, shift: float) -> float:
        total = -((factor - 1) ** 2) / (2 * 0.5**2)
        for row, present in zip(vectors[:labels], hot, strict=True):
            logits = [factor * float(np.dot(weight, row)) + shift for weight in weights]
            if several:
                total += sum(-np.log1p(np.exp(-x if on else x)) for x, on in zip(logits, present, strict=True))
            else:
                total += logits[int(present.argmax())] - np.log(sum(np.exp(x) for x in logits))
        return float(total)

    ours = log_probability(belief, bias)
    if not several:
        assert bias == 0.0
        assert all(log_probability(other, 0.0) <= ours + 1e-6 for other in np.linspace(0, 2, 41))


@pytest.mark.parametrize(
    ("classes", "labels", "right", "enough"),
    [
        (8, 2, 0.8, True), (8, 12, 0.8, False),  # few classes: an adapter is better early
        (77, 60, 0.6, True), (77, 296, 0.6, True), (77, 297, 0.6, False), (77, 60, 0.4, False),
        (150, 599, 0.6, True), (150, 600, 0.6, False),
    ],
)  # fmt: skip
def test_names_are_enough_while_labels_are_few_and_names_right(
    classes: int, labels: int, right: float, enough: bool
) -> None:
    frame = Frame(np.zeros(2, np.float32), 1.0)
    assert NamePrior(frame, np.zeros((classes, 2)), 0.0, 1.0, labels, right).is_enough is enough


def test_the_share_that_names_predict() -> None:
    texts, classes, names = world(400)
    values = [CLASSES[number] for number in classes[:8]]
    assert name_prior(TOPIC, names, texts[:8], values, texts[8:]).right > 0.5
    assert name_prior(TOPIC, names[[1, 2, 3, 0]], texts[:8], values, texts[8:]).right < 0.5
    assert name_prior(TAGS, names, texts[:8], [[value] for value in values], texts[8:]).right == 0.0

"""Wrong labels are found, and agreement is what counting pairs gives."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.evaluation.labels import agreement, suspects


def nearest_mean(known: np.ndarray, labels: np.ndarray, others: np.ndarray) -> np.ndarray:
    """A learner of three classes that can be counted out: by the distance to each class's mean."""
    means = np.stack([known[labels == c].mean(axis=0) if (labels == c).any() else np.full(2, 1e3) for c in range(3)])
    near = np.exp(-np.linalg.norm(others[:, None] - means, axis=2))
    return np.asarray(near / near.sum(axis=1, keepdims=True))


def three_groups(wrong: list[int], classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = np.arange(90) % classes
    vectors = np.array([[0, 0], [6, 0], [0, 6]], np.float32)[labels] + rng.normal(size=(90, 2)).astype(np.float32)
    labels[wrong] = (labels[wrong] + 1) % classes
    return vectors, labels


def test_labels_that_were_turned_are_found_with_what_they_were() -> None:
    wrong = [4, 20, 33, 57]
    vectors, labels = three_groups(wrong)
    found = suspects(vectors, labels, nearest_mean)
    rows = {each.row for each in found}
    assert rows <= set(wrong)
    assert len(rows) >= 3, "the noise is estimated, so that one of them may be taken for right"
    assert all(each.instead == each.row % 3 for each in found)
    assert [each.quality for each in found] == sorted(each.quality for each in found)


def test_classes_without_labels_do_not_matter() -> None:
    vectors, labels = three_groups([4, 20], classes=2)
    found = suspects(vectors, labels, nearest_mean)
    assert {each.row for each in found[:2]} == {4, 20}
    assert {each.instead for each in found} <= {0, 1}


def test_few_labels_or_one_class_tell_nothing() -> None:
    vectors, labels = three_groups([])
    assert suspects(vectors[:9], labels[:9], nearest_mean) == []
    assert suspects(vectors, np.zeros(90, np.int64), nearest_mean) == []


def slow_alpha(by_task: list[list[int]]) -> float | None:
    """Krippendorff's definition: 1 − observed / expected disagreement, pair by pair."""
    units = [values for values in by_task if len(values) > 1]
    every = [value for values in units for value in values]
    observed = sum(sum(a != b for a, b in combinations(v, 2)) * 2 / (len(v) - 1) for v in units) / len(every)
    expected = sum(a != b for a, b in combinations(every, 2)) * 2 / (len(every) * (len(every) - 1))
    return 1 - observed / expected if expected else None


@given(st.lists(st.lists(st.integers(0, 2), max_size=4), min_size=1, max_size=12))
def test_agreement_is_that_of_counting_pairs(by_task: list[list[int]]) -> None:
    said = [(task, person, value) for task, values in enumerate(by_task) for person, value in enumerate(values)]
    found = agreement(said)
    several = [values for values in by_task if len(values) > 1]
    if not several:
        assert found is None
        return
    assert found is not None
    pairs = [np.mean([a == b for a, b in combinations(values, 2)]) for values in several]
    assert found["share"] == pytest.approx(np.mean(pairs))
    expected = slow_alpha(by_task)
    assert found["alpha"] == (None if expected is None else pytest.approx(expected))


def test_whoever_differs_from_most_others_is_told_of() -> None:
    said: list[tuple[int, int | None, Any]] = []
    for task in range(10):
        said += [(task, 1, "a"), (task, 2, "a"), (task, 3, "b" if task < 4 else "a")]
    said += [(99, 3, "a"), (98, 1, "a"), (98, 2, "b"), (98, 3, "c"), (98, None, "c")]
    people = agreement(said)["annotators"]  # type: ignore[index]
    assert people["3"] == {"labels": 12, "compared": 10, "disagrees": 4}
    # Of task 98 the others of 1 and 2 agree on c, those of 3 on nothing.
    assert people["1"] == {"labels": 11, "compared": 7, "disagrees": 1}
    assert people["None"] == {"labels": 1, "compared": 0, "disagrees": 0}

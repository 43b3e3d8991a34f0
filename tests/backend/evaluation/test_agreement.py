"""Agreement is what counting pairs gives."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.evaluation.agreement import agreement, weights


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


def test_weights_follow_how_often_annotators_agree_with_others() -> None:
    labels: list[tuple[int, int | None, Any]] = []
    for task in range(40):
        truth = "ab"[task % 2]
        wrong = "ba"[task % 2]
        labels += [(task, 1, truth), (task, 2, truth), (task, 3, wrong if task % 4 < 2 else truth)]
    found = weights(labels)
    assert found["1"] == found["2"] > found["3"] + 0.2
    assert all(0 <= each <= 1 and round(each * 20) == pytest.approx(each * 20) for each in found.values())


def test_without_two_labels_of_a_task_nothing_is_known_of_annotators() -> None:
    assert weights([(1, 1, "a"), (2, 2, "b"), (3, 1, "a"), (3, 1, "b")]) == {}
    assert weights([]) == {}


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.sampled_from("ab")), max_size=30))
def test_weights_are_shares_whatever_is_labeled(labels: list[tuple[int, int | None, Any]]) -> None:
    assert all(0 <= each <= 1 for each in weights(labels).values())


def test_where_agreement_is_no_better_than_chance_the_majority_decides() -> None:
    labels: list[tuple[int, int | None, Any]] = []
    for task in range(100):
        given = ["x", "x", "-"] if task == 0 else ["-", "-", "-"]
        labels += [(task, who, value) for who, value in enumerate(given)]
    found = weights(labels)
    assert found["0"] + found["1"] > 1.1 * found["2"] > 0

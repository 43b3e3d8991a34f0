"""least_confidence, margin and entropy against plain references and their mathematical properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.entropy import entropy
from strategies.least_confidence import least_confidence
from strategies.margin import margin
from strategies.ranking import top

rows = st.lists(st.floats(1e-6, 1.0), min_size=2, max_size=9).map(lambda w: [x / math.fsum(w) for x in w])


@given(rows)
def test_against_plain_loops(row: list[float]) -> None:
    probs = np.array([row])
    ordered = sorted(row)
    assert least_confidence(probs)[0] == pytest.approx(1 - ordered[-1], abs=1e-12)
    assert margin(probs)[0] == pytest.approx(1 - (ordered[-1] - ordered[-2]), abs=1e-12)
    assert entropy(probs)[0] == pytest.approx(-math.fsum(p * math.log(p) for p in row), abs=1e-12)


@given(rows, st.randoms())
def test_order_of_classes_does_not_matter(row: list[float], rng: object) -> None:
    shuffled = list(row)
    rng.shuffle(shuffled)  # type: ignore[attr-defined]
    for score in (least_confidence, margin, entropy):
        assert score(np.array([row]))[0] == pytest.approx(score(np.array([shuffled]))[0], abs=1e-12)


@pytest.mark.parametrize("score", [least_confidence, margin, entropy])
def test_uniform_is_the_maximum_and_certain_the_minimum(score) -> None:
    values = score(np.array([[0.25] * 4, [0.4, 0.3, 0.2, 0.1], [1.0, 0, 0, 0]]))
    assert values[0] > values[1] > values[2]
    assert np.isfinite(values).all()


def test_two_classes_rank_alike() -> None:
    p = np.random.default_rng(0).random(200)
    probs = np.stack([p, 1 - p], axis=1)
    orders = [np.argsort(-score(probs)) for score in (least_confidence, margin, entropy)]
    np.testing.assert_array_equal(orders[0], orders[1])
    np.testing.assert_array_equal(orders[0], orders[2])


def test_confident_float32_rows_keep_their_order() -> None:
    small = np.array([1e-9, 3e-9, 2e-9], dtype=np.float32)
    probs = np.stack([np.ones(3, np.float32) - small, small], axis=1)
    np.testing.assert_array_equal(np.argsort(-least_confidence(probs)), [1, 2, 0])


def test_one_class_gives_no_error() -> None:
    assert margin(np.ones((3, 1))).tolist() == [0, 0, 0]
    assert least_confidence(np.ones((3, 1))).tolist() == [0, 0, 0]


def test_ties_are_broken_at_random_and_fairly() -> None:
    scores = np.array([1.0] + [0.5] * 9)
    seen = np.zeros(10)
    for seed in range(900):
        chosen = top(scores, 4, np.random.default_rng(seed)).indices
        assert chosen[0] == 0
        seen[chosen] += 1
    assert seen[0] == 900
    assert (abs(seen[1:] - 300) < 75).all()  # 5 standard deviations


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=30), st.integers(1, 40), st.integers(0, 5))
def test_top_equals_sorting(values: list[int], n: int, seed: int) -> None:
    chosen = top(np.array(values, float), n, np.random.default_rng(seed))
    assert chosen.scores.tolist() == sorted(map(float, values), reverse=True)[:n]
    assert np.array(values, float)[chosen.indices].tolist() == chosen.scores.tolist()

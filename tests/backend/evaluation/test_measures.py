"""Held-out scores against plain references."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics.chrf import CHRF
from scipy.stats import spearmanr
from sklearn.metrics import f1_score

from backend.evaluation.measures import best_threshold, measure, spearman
from backend.pool.fields import combined
from backend.store.files.shards import stacked
from backend.targets import Target


def test_classes() -> None:
    found = measure(Target("it", "classification"), ["a", "b", "b", "c"], ["a", "b", "c", None])
    assert (found["metric"], found["labels"], found["correct"], found["score"]) == ("accuracy", 4, 2, 0.5)
    assert found["low"] < 0.5 < found["high"]


@given(st.lists(st.tuples(st.sets(st.sampled_from("abc")), st.sets(st.sampled_from("abc"))), min_size=1, max_size=20))
def test_several_labels_equal_scikit_learns(pairs: list[tuple[set[str], set[str]]]) -> None:
    truth, predicted = ([sorted(pair[side]) for pair in pairs] for side in (0, 1))
    found = measure(Target("it", "multilabel"), truth, predicted)
    hot = [np.array([[name in value for name in "abc"] for value in side]) for side in (truth, predicted)]
    assert found["score"] == pytest.approx(f1_score(*hot, average="micro", zero_division=1.0))
    assert found["low"] <= found["score"] + 1e-9
    assert found["score"] <= found["high"] + 1e-9


def test_spans_count_only_if_place_and_class_are_right() -> None:
    truth = [[[0, 3, "A"], [5, 7, "B"]], [[1, 2, "A"]], []]
    predicted = [[[0, 3, "A"], [5, 7, "A"]], [[1, 3, "A"]], [[0, 1, "B"]]]
    assert measure(Target("it", "spans"), truth, predicted)["score"] == pytest.approx(2 * 1 / (2 * 1 + 3 + 2))
    assert measure(Target("it", "spans"), [[], []], [[], []])["score"] == 1.0
    assert measure(Target("it", "spans"), truth, truth)["score"] == 1.0


def test_numbers() -> None:
    truth, predicted = [1.0, 2.0, 3.0, 5.0], [1.5, 2.0, 2.5, 3.0]
    found = measure(Target("it", "regression"), truth, predicted)
    assert (found["metric"], found["score"]) == ("mae", pytest.approx(0.75))
    assert found["spearman"] == pytest.approx(1.0)
    assert measure(Target("it", "regression"), [2.0, 2.0], [1.0, 3.0])["spearman"] == 0.0


def test_comparisons() -> None:
    found = measure(Target("it", "pairwise"), ["left", "right", "right"], ["left", "left", "right"])
    assert (found["metric"], found["correct"], found["score"]) == ("pair_accuracy", 2, pytest.approx(2 / 3))


def test_answers_equal_sacrebleu_s() -> None:
    truth, predicted = ["the cat sat", "中文 é", "x"], ["the cat sits", "中文 é", None]
    found = measure(Target("it", "generation"), truth, predicted)
    each = [CHRF().sentence_score(p or "", [t]).score / 100 for t, p in zip(truth, predicted, strict=True)]
    assert found["score"] == pytest.approx(np.mean(each))
    assert (each[1], each[2]) == (pytest.approx(1), 0)
    assert found["low"] <= found["score"] <= found["high"]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=3, max_size=15))
def test_rank_correlation_equals_scipys(pairs: list[tuple[int, int]]) -> None:
    x, y = np.array(pairs, dtype=float).T
    if len(set(x)) > 1 and len(set(y)) > 1:
        assert spearman(np.array(pairs, dtype=float)) == pytest.approx(spearmanr(x, y).statistic)


def test_intervals_cover_the_truth() -> None:
    rng = random.Random(0)
    covered = 0
    for _ in range(200):
        predicted: list[Any] = [["a"] if rng.random() < 0.8 else ["b"] for _ in range(60)]
        found = measure(Target("it", "multilabel"), [["a"]] * 60, predicted)
        covered += found["low"] <= 0.8 <= found["high"]
    assert covered >= 180


@given(st.lists(st.tuples(st.integers(1, 9), st.booleans()), min_size=1, max_size=12))
def test_the_threshold_is_one_of_the_best(pairs: list[tuple[int, bool]]) -> None:
    probs = np.array([[p / 10 for p, _ in pairs]])
    present = np.array([[there for _, there in pairs]])

    def f1(threshold: float) -> float:
        right = ((probs >= threshold) & present).sum()
        return float(2 * right / max(1, (probs >= threshold).sum() + present.sum()))

    best = max(f1(threshold / 100) for threshold in range(1, 100))
    assert f1(best_threshold(probs, present)) == pytest.approx(best)


def test_controls_are_combined_by_rank_and_weight() -> None:
    first, second = np.array([0.0, 10.0, 1000.0]), np.array([0.3, 0.2, 0.1])
    assert combined([first, second], [1, 1]).tolist() == [0.5, 0.5, 0.5]
    assert combined([first, second], [3, 1]).tolist() == [0.25, 0.5, 0.75]
    assert combined([first, np.zeros(3)], [1, 1]).tolist() == [0.25, 0.5, 0.75]
    assert combined([np.array([5.0]), np.array([1.0])], [0, 0]).tolist() == [0.0]


def test_rows_of_different_width_are_stacked_with_zeros() -> None:
    wide, narrow = np.ones((2, 3, 3), dtype=np.int32), np.ones((1, 1, 3), dtype=np.int32)
    for first, second in ((wide, narrow), (narrow, wide)):
        both = stacked(first, second)
        assert both.shape == (3, 3, 3)
        assert both.sum() == 18 + 3
        assert both.dtype == np.int32


@pytest.mark.parametrize(
    ("target", "value", "right", "wrong"),
    [
        (Target("spans", "spans", ("A",)), [[0, 3, "A"]], 1.0, 0.0),
        (Target("spans", "spans", ("A",)), [], 1.0, 0.0),
        (Target("names", "multilabel", ("A", "B")), ["A"], 1.0, 0.0),
        (Target("answer", "generation"), "an apple", 1.0, 0.0),
        (Target("stars", "regression", low=1.0, high=5.0), 3.0, 0.0, 4.0),
        (Target("number", "regression"), 3.0, 0.0, 1.0),
    ],
)
@pytest.mark.parametrize("labels", [1, 2, 8, 30])
def test_labels_that_are_all_predicted_are_no_proof(
    target: Target, value: Any, right: float, wrong: float, labels: int
) -> None:
    found = measure(target, [value] * labels, [value] * labels)
    assert found["score"] == pytest.approx(right)
    low, high = sorted([right, wrong])
    assert low <= found["low"] < found["high"] <= high
    width = found["high"] - found["low"]
    assert width / (high - low) == pytest.approx(1 - 0.0175 ** (1 / labels), abs=1e-6)  # exact: Clopper & Pearson


def test_of_few_numbers_the_interval_holds_the_truth() -> None:
    """The resamples of eight ratings alone miss it in one project of eight."""
    rng, target = np.random.default_rng(0), Target("stars", "regression", low=1.0, high=5.0)
    covered = 0
    for _ in range(300):
        errors = rng.choice([0.0, 1.0, 3.0], size=8, p=[0.6, 0.3, 0.1])
        found = measure(target, [1.0] * 8, (1.0 + errors).tolist())
        covered += found["low"] <= 0.6 <= found["high"]
    assert covered >= 0.95 * 300

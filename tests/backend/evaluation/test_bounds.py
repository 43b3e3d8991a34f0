"""A lower end that may be looked at again and again, against counting out what can happen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from backend.evaluation.bounds import FIRST, RISK, due, equivalent, interval, level, lower_end, needed, upper_end
from backend.evaluation.measures import wilson


def looks(counts: list[int]) -> list[tuple[int, float]]:
    """At which of these numbers of held-out labels one looks, and the level of each look."""
    last, found = 0, []
    for labels in counts:
        if due(labels, last):
            found.append((labels, level(labels, last)))
            last = labels
    return found


@given(st.lists(st.integers(0, 100_000), max_size=200))
def test_however_labels_come_the_levels_stay_within_the_risk(counts: list[int]) -> None:
    levels = [share for _, share in looks(sorted(counts))]
    assert all(share > 0 for share in levels)
    assert sum(levels) <= RISK + 1e-12


def test_each_look_waits_for_a_quarter_more_labels() -> None:
    assert [labels for labels, _ in looks(list(range(60)))] == [20, 25, 32, 40, 50]
    assert not due(FIRST - 1, 0)
    assert not due(30, 100), "after annotations were deleted"


@given(st.floats(0.05, 0.99), st.integers(1, 300), st.floats(0.0005, 0.2))
def test_the_lower_end_exceeds_the_truth_at_most_as_often_as_it_may(truth: float, labels: int, risk: float) -> None:
    counts = np.arange(labels + 1)
    wrong = np.array([lower_end(count / labels, labels, risk) > truth for count in counts])
    assert binom.pmf(counts[wrong], labels, truth).sum() <= risk * (1 + 1e-6)


@pytest.mark.parametrize("truth", [0.6, 0.895, 0.97])
def test_a_model_that_stays_just_below_its_target_seldom_passes(truth: float) -> None:
    """Two thousand projects of the same model, looked at whenever it is due, up to 1,500 held-out labels."""
    rng = np.random.default_rng(0)
    right = rng.random((2000, 1500)) < truth
    passed = np.zeros(len(right), bool)
    for labels, share in looks(list(range(1501))):
        scores = right[:, :labels].mean(axis=1)
        passed |= np.array([lower_end(score, labels, share) > truth for score in scores])
    assert 0 < passed.mean() <= RISK


def test_other_scores_are_worth_what_their_spread_tells() -> None:
    spread = np.sqrt(0.8 * 0.2 / 150)
    assert equivalent(0.8, spread, 0.74, 200) == pytest.approx(150)
    assert equivalent(0.8, spread, 0.74, 100) == 100, "at most as many as there are"
    assert equivalent(1.0, 0.0, wilson(60, 60)[0], 500) == pytest.approx(60, rel=0.01)
    assert equivalent(1.0, 0.25, 0.0, 500) == 0.0, "a perfect score of nothing"
    assert equivalent(1.0, 0.0, 1.0, 30) == 30
    assert lower_end(0.0, 50, 0.01) == 0.0
    assert upper_end(0.5, 0.1, 0.025) == pytest.approx(0.5 + 1.96 * 0.1, abs=1e-3)


def test_looks_at_one_model_share_the_risk_of_its_interval() -> None:
    """Exact probabilities that a first look misses the truth, and in the worst case a second, third and so on."""
    counts = np.arange(41)
    for truth in (0.5, 0.8, 0.95):
        missed = 0.0
        for look in range(1, 8):
            ends = [interval(count / 40, 40, look) for count in counts]
            wrong = np.array([not low <= truth <= high for low, high in ends])
            missed += binom.pmf(counts[wrong], 40, truth).sum()
        assert missed <= 0.05


def test_a_first_look_costs_little_more_than_the_usual_interval() -> None:
    low, high = interval(0.8, 200)
    usual_low, usual_high = wilson(160, 200)
    assert 1.0 < (high - low) / (usual_high - usual_low) < 1.15


@given(st.integers(1, 100), st.integers(0, 50))
def test_skipped_tasks_count_as_wrong_in_the_lower_end_only(labels: int, skipped: int) -> None:
    right = labels // 2
    low, high = interval(right / labels, labels, skipped=skipped / (labels + skipped))
    assert low == pytest.approx(interval(right / (labels + skipped), labels + skipped)[0], abs=1e-9)
    assert high == interval(right / labels, labels)[1]


@pytest.mark.parametrize(("score", "target"), [(0.95, 0.9), (0.92, 0.9), (0.8, 0.5), (1.0, 0.9)])
def test_the_labels_needed_are_those_at_which_a_check_passes(score: float, target: float) -> None:
    labels = needed(score, target)
    assert labels is not None
    last = 0
    while True:
        now = next(n for n in range(1, 10**6) if due(n, last))
        passed = lower_end(score, now, level(now, last)) >= target
        assert passed == (now == labels)
        if passed:
            break
        last = now


def test_a_score_at_the_target_never_confirms_it() -> None:
    assert needed(0.9, 0.9) is None
    assert needed(0.5, 0.9) is None

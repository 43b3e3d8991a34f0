"""Selective classification: exact against plain enumeration, and valid in simulation."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.evaluation.selective import NOTHING, RISK, chances, exceeded, largest, least, risk_of


def test_the_risks_of_all_samples_sum_to_the_whole() -> None:
    assert sum(risk_of(number) for number in range(1, 100)) == pytest.approx(RISK)


def test_so_many_right_labels_prove_an_accuracy() -> None:
    for accuracy in (0.8, 0.9, 0.95, 0.99):
        fewest = least(accuracy, 0.05)
        assert accuracy**fewest <= 0.05 < accuracy ** (fewest - 1)


@given(st.integers(2, 9), st.data())
def test_chances_are_those_of_all_samples(size: int, data: st.DataObject) -> None:
    """Against counting every possible sample of a group with one wrong answer more than allowed."""
    count = data.draw(st.integers(1, size))
    allowed = data.draw(st.integers(0, size - 1))
    errors = data.draw(st.integers(0, count))
    bad = allowed + 1
    few = sum(sum(each < bad for each in sample) <= errors for sample in combinations(range(size), count))
    found = chances(np.array([size]), np.array([count]), np.array([errors]), np.array([allowed]))
    assert found[0] == pytest.approx(few / comb(size, count))


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("temperature", [1.0, 0.2, 5.0])
def test_the_guarantee_holds_whatever_the_confidences(whole: bool, temperature: float) -> None:
    """In 300 projects of a model, well calibrated or not, too many wrong answers are taken in at most the risk."""
    rng, broken, taken = np.random.default_rng(0), 0, []
    for _ in range(300):
        chance = rng.beta(12, 0.6, 800)
        wrong = rng.random(800) > chance
        logit = np.log(np.clip(chance, 1e-6, 1 - 1e-6) / np.clip(1 - chance, 1e-6, 1))
        confidence = 1 / (1 + np.exp(-(logit + rng.normal(0, 1, 800)) / temperature))
        sample = rng.permutation(800)[:200]
        part = largest(confidence, sample, wrong[sample], 0.95, RISK, of=1000 if whole else None)
        ranked = np.setdiff1d(np.argsort(-confidence, kind="stable")[: part.size], sample)
        broken += wrong[ranked].sum() > 0.05 * (1000 if whole else len(ranked))
        taken.append(len(ranked))
        assert len(ranked) == part.taken
    assert broken <= 15 + 2 * np.sqrt(300 * RISK)
    assert np.mean(taken) > 100


def test_a_perfect_model_takes_everything_and_a_bad_one_nothing() -> None:
    rng = np.random.default_rng(0)
    confidence, sample = rng.random(500), rng.permutation(500)[:90]
    right = np.zeros(90, bool)
    assert largest(confidence, sample, right, 0.95, RISK, of=None) == (500, 90, 0)
    assert largest(confidence, sample, ~right, 0.95, RISK, of=None) == NOTHING
    assert largest(confidence, sample[:40], right[:40], 0.95, RISK, of=None) == NOTHING, "too few to prove it"


def test_equal_confidences_stand_or_fall_together() -> None:
    rng = np.random.default_rng(0)
    sample = rng.permutation(500)[:90]
    part = largest(np.ones(500), sample, np.zeros(90, bool), 0.95, RISK, of=None)
    assert part.size == 500


def test_more_errors_never_take_more() -> None:
    rng = np.random.default_rng(0)
    confidence, sample = rng.random(2000), rng.permutation(2000)[:300]
    order, sizes = np.argsort(confidence[sample]), []
    for errors in range(0, 60, 5):
        wrong = np.zeros(300, bool)
        wrong[order[:errors]] = True
        sizes.append(largest(confidence, sample, wrong, 0.95, RISK, of=None).size)
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == 2000 > sizes[-1] > 0


def test_later_labels_withdraw_a_guarantee_that_does_not_hold() -> None:
    assert not exceeded(0, 0, 0.05)
    assert not exceeded(100, 5, 0.05)
    assert exceeded(100, 30, 0.05)
    assert exceeded(5, 5, 0.05)


def test_later_labels_seldom_withdraw_one_that_holds() -> None:
    """Checked after every label, with exactly as many errors as allowed."""
    rng, withdrawn = np.random.default_rng(0), 0
    for _ in range(300):
        wrong = (rng.random(400) < 0.05).cumsum()
        withdrawn += any(exceeded(n, int(wrong[n - 1]), 0.05) for n in range(1, 401, 3))
    assert withdrawn <= 15 + 2 * np.sqrt(300 * RISK)

"""Selective classification: exact against plain enumeration, and valid in simulation."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.evaluation.selective import NOTHING, RISK, Array, Part, chances, largest, least, risk_of


def test_the_risks_of_all_samples_sum_to_the_whole() -> None:
    assert sum(risk_of(number) for number in range(1, 100)) == pytest.approx(RISK)


def test_so_many_right_labels_prove_an_accuracy() -> None:
    """Of a large pool as of independent texts; of a small one it takes more, since its rest has fewer wrong ones."""
    for accuracy in (0.8, 0.9, 0.95, 0.99):
        fewest = least(accuracy, 0.05, 1_000_000)
        assert fewest is not None
        assert accuracy**fewest <= 0.0501
        assert accuracy ** (fewest - 1) > 0.0499
        small = least(accuracy, 0.05, 10 * fewest)
        assert small is None or small >= fewest
    assert least(0.99, 0.05, 10) is None
    of_all = least(0.95, 0.05, 300, of=1000)
    assert of_all is not None
    assert of_all < 59


@pytest.mark.parametrize("of", [None, 150, 4000])
@pytest.mark.parametrize("remaining", [1, 2, 40, 333, 2000])
def test_the_smallest_sample_is_the_first_whose_chances_are_small(remaining: int, of: int | None) -> None:
    for accuracy, risk in [(0.8, 0.05), (0.95, 0.035), (0.99, 0.01)]:
        counts = np.arange(1, remaining)
        allowed = np.floor((1 - accuracy) * (remaining - counts if of is None else np.full(len(counts), of)) + 1e-9)
        passing = chances(np.full(len(counts), remaining), counts, np.zeros(len(counts)), allowed) <= risk
        assert least(accuracy, risk, remaining, of) == (int(counts[passing][0]) if passing.any() else None)


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
        free = np.ones(800, bool)
        free[sample] = False
        free[rng.permutation(800)[:100]] = False  # labeled by people meanwhile
        part = largest(confidence, sample, wrong[sample], free, 0.95, RISK, of=1000 if whole else None)
        ranked = np.argsort(-confidence, kind="stable")[: part.size]
        ranked = ranked[free[ranked]]
        broken += wrong[ranked].sum() > 0.05 * (1000 if whole else len(ranked))
        taken.append(len(ranked))
    assert broken <= 15 + 2 * np.sqrt(300 * RISK)
    assert np.mean(taken) > (100 if whole else 30)


def part_of(confidence: Array, sample: Array, wrong: Array) -> Part:
    free = np.ones(len(confidence), bool)
    free[sample] = False
    return largest(confidence, sample, wrong, free, 0.95, RISK, of=None)


def test_a_perfect_model_takes_everything_and_a_bad_one_nothing() -> None:
    rng = np.random.default_rng(0)
    confidence, sample = rng.random(500), rng.permutation(500)[:90]
    right = np.zeros(90, bool)
    assert part_of(confidence, sample, right) == (500, 90, 0, 20)
    assert part_of(confidence, sample, ~right) == NOTHING
    assert part_of(confidence, sample[:40], right[:40]) == NOTHING, "too few to prove it"


def test_errors_that_others_spent_are_not_allowed_again() -> None:
    rng = np.random.default_rng(0)
    confidence, sample = rng.random(500), rng.permutation(500)[:90]
    free = np.ones(500, bool)
    free[sample] = False
    parts = [
        largest(confidence, sample, np.zeros(90, bool), free, 0.95, RISK, of=1000, spent=spent) for spent in (0, 20, 50)
    ]
    assert [each.allowed for each in parts] == [50, 30, 0]
    assert parts[2] == NOTHING


def test_equal_confidences_stand_or_fall_together() -> None:
    sample = np.random.default_rng(0).permutation(500)[:90]
    assert part_of(np.ones(500), sample, np.zeros(90, bool)).size == 500


def test_more_errors_never_take_more() -> None:
    rng = np.random.default_rng(0)
    confidence, sample = rng.random(2000), rng.permutation(2000)[:300]
    order, sizes = np.argsort(confidence[sample]), []
    for errors in range(0, 60, 5):
        wrong = np.zeros(300, bool)
        wrong[order[:errors]] = True
        sizes.append(part_of(confidence, sample, wrong).size)
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == 2000 > sizes[-1] > 0

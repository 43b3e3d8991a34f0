"""Temperatures that are found again, and confidences that mean what they say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.evaluation.calibration import (
    best_temperature,
    beyond_chance,
    calibration_error,
    error_by_chance,
    reliability,
    tempered,
    two_sided,
)


def labeled(count: int, temperature: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What a model says whose logits are too large by the factor, the truth, and what it should have said."""
    rng = np.random.default_rng(seed)
    honest = tempered(np.exp(rng.normal(0.0, 1.5, (count, 4))), 1.0)
    truth = np.array([rng.choice(4, p=row) for row in honest])
    return tempered(honest, 1.0 / temperature), truth, honest


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0, 4.0])
def test_the_temperature_is_found_again(temperature: float) -> None:
    said, truth, honest = labeled(4000, temperature)
    found = best_temperature(said, truth)
    assert found == pytest.approx(temperature, rel=0.1)
    assert tempered(said, temperature) == pytest.approx(honest, abs=2e-3)


def test_a_few_labels_change_little() -> None:
    said, truth, _ = labeled(4000, 4.0)
    few = best_temperature(said[:3], truth[:3])
    assert 1.0 / 3 < few < 3.0
    sure = np.tile([0.97, 0.01, 0.01, 0.01], (5, 1))
    assert 0.1 < best_temperature(sure, np.zeros(5, np.int64)) < 1.0


@given(st.integers(0, 2**31), st.floats(0.05, 20.0))
def test_tempering_keeps_the_order_and_sums_to_one(seed: int, temperature: float) -> None:
    probs = np.random.default_rng(seed).dirichlet(np.full(5, 0.3), 7)
    made = tempered(probs, temperature)
    assert made.sum(axis=1) == pytest.approx(np.ones(7))
    assert (made.argmax(axis=1) == probs.argmax(axis=1)).all()
    assert tempered(probs, 1.0) == pytest.approx(probs, abs=1e-6)


def test_zeros_and_ones_stay_finite() -> None:
    assert np.isfinite(tempered(np.array([[1.0, 0.0], [0.5, 0.5]]), 0.05)).all()
    assert np.isfinite(best_temperature(np.array([[1.0, 0.0]] * 9), np.ones(9, np.int64)))
    assert two_sided(np.array([[0.2, 1.0]])).tolist() == [[[0.2, 0.8], [1.0, 0.0]]]


def test_reliability_tells_confidence_and_accuracy_of_equal_bins() -> None:
    confidence = np.repeat([0.55, 0.95], 50)
    correct = np.r_[np.arange(50) < 30, np.arange(50) < 40]
    bins = reliability(confidence, correct)
    assert [each["labels"] for each in bins] == [10] * 10
    assert calibration_error(bins) >= abs(0.75 - 0.70), "no less than of one bin"
    assert calibration_error(reliability(confidence[:12], correct[:12])) == pytest.approx(abs(0.55 - 1.0))


def test_honest_confidences_have_a_small_error_and_bold_ones_a_large() -> None:
    said, truth, honest = labeled(4000, 4.0)

    def error(probs: np.ndarray) -> float:
        return calibration_error(reliability(probs.max(axis=1), probs.argmax(axis=1) == truth))

    assert error(honest) < 0.03 < 0.2 < error(said)
    assert error(tempered(said, best_temperature(said, truth))) < 0.03
    assert beyond_chance(reliability(said.max(axis=1), said.argmax(axis=1) == truth))


@pytest.mark.parametrize("count", [20, 50, 100, 500])
def test_what_chance_gives_is_known(count: int) -> None:
    """Of 300 projects whose confidences mean exactly what they say."""
    seen, expected, accused = [], [], 0
    for seed in range(300):
        _, truth, honest = labeled(count, 1.0, seed)
        bins = reliability(honest.max(axis=1), honest.argmax(axis=1) == truth)
        seen.append(calibration_error(bins))
        expected.append(error_by_chance(bins))
        accused += beyond_chance(bins)
    assert np.mean(seen) == pytest.approx(np.mean(expected), rel=0.1)
    assert accused <= 0.08 * 300  # 5 %, give or take


@pytest.mark.parametrize("count", [20, 50, 200])
def test_bold_confidences_that_are_right_are_not_accused(count: int) -> None:
    """Near a confidence of 1 a single mistake fills a bin."""
    rng, accused = np.random.default_rng(0), 0
    for _ in range(300):
        confidence = np.full(count, 0.99)
        accused += beyond_chance(reliability(confidence, rng.random(count) < confidence))
    assert accused <= 0.08 * 300

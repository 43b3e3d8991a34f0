"""What held-out labels tell of a model, with and without its own confidences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from backend.evaluation.bounds import interval
from backend.evaluation.estimators import ESTIMATORS, Sample, held_out, prediction_powered

Array = NDArray[np.float64]

CONFIDENCES: dict[str, Callable[[Array, np.random.Generator], Array]] = {
    "calibrated": lambda likely, rng: likely,
    "too sure": lambda likely, rng: likely**0.1,
    "not sure enough": lambda likely, rng: 0.2 + 0.1 * likely,
    "worthless": lambda likely, rng: rng.random(len(likely)),
    "reversed": lambda likely, rng: 1 - likely,
    "always the same": lambda likely, rng: np.full(len(likely), 0.9),
}


def pool(rng: np.random.Generator, size: int) -> tuple[NDArray[np.bool_], Array]:
    """Whether a model is right on each text, and how likely that was."""
    likely = rng.beta(2.0, 0.7, size)
    return rng.random(size) < likely, likely


def sampled(right: NDArray[np.bool_], confidence: Array, labels: int) -> Sample:
    return Sample(right[:labels], confidence[:labels], confidence[labels:])


def plainly(sample: Sample) -> float:
    """The line through the labeled texts, read at the mean rank of all texts."""
    every = [*sample.confidence.tolist(), *sample.others.tolist()]
    ranks = [sum(other < each for other in every) + sum(other == each for other in every) / 2 for each in every]
    slope, start = np.polyfit(ranks[: len(sample.right)], sample.right.astype(float), 1)
    return float(start + slope * np.mean(ranks))


@given(st.integers(0, 10_000), st.integers(20, 100), st.integers(1, 400))
def test_it_is_the_regression_on_the_confidence(seed: int, labels: int, others: int) -> None:
    sample = sampled(*pool(np.random.default_rng(seed), labels + others), labels)
    found = prediction_powered(sample)
    if found.effective > labels:
        assert found.score == pytest.approx(min(1.0, max(0.0, plainly(sample))), abs=1e-9)
    else:
        assert found == held_out(sample)


@given(st.integers(0, 10_000), st.floats(0.1, 10))
def test_only_the_order_of_the_confidences_matters(seed: int, power: float) -> None:
    right, likely = pool(np.random.default_rng(seed), 200)
    first, second = (prediction_powered(sampled(right, each, 50)) for each in (likely, likely**power))
    assert second == pytest.approx(first, rel=1e-6)


@pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=ESTIMATORS)
@pytest.mark.parametrize("sample", [
    Sample(np.ones(30, np.bool_), np.linspace(0.5, 1, 30), np.linspace(0.1, 1, 90)),
    Sample(np.zeros(30, np.bool_), np.linspace(0.5, 1, 30), np.linspace(0.1, 1, 90)),
    Sample(np.array([True]), np.array([0.9]), np.empty(0)),
    Sample(np.arange(30) < 20, np.full(30, 1.0), np.full(5, 1.0)),
    Sample(np.arange(30) < 26, np.linspace(1, 0, 30), np.linspace(0, 1, 90)),
    Sample(np.arange(19) < 9, np.linspace(1, 0, 19), np.linspace(0, 1, 90)),
])  # fmt: skip
def test_without_anything_to_correct_by_the_labels_alone_count(estimator: object, sample: Sample) -> None:
    assert estimator(sample) == held_out(sample)  # type: ignore[operator]


@pytest.mark.parametrize("name", CONFIDENCES)
def test_the_intervals_of_all_measurements_hold_the_truth(name: str) -> None:
    """2,000 models, each measured with 10, 20, 60 and 150 held-out labels of 600: all four intervals are right."""
    rng, held, ratios = np.random.default_rng(0), [], []
    truth = 2.0 / 2.7  # mean of the beta distribution
    for _ in range(2000):
        right, likely = pool(rng, 600)
        confidence = CONFIDENCES[name](likely, rng)
        samples = [sampled(right, confidence, labels) for labels in (10, 20, 60, 150)]
        ends = [interval(*prediction_powered(sample), number) for number, sample in enumerate(samples, 1)]
        held.append(all(low <= truth <= high for low, high in ends))
        ratios.append(np.diff(ends[2])[0] / np.diff(interval(*held_out(samples[2]), 3))[0])
    assert np.mean(held) >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / len(held))
    assert max(ratios) < 1.1
    assert np.mean(ratios) < (0.93 if name == "calibrated" else 1.01)


@pytest.mark.parametrize("labels", [20, 30, 60, 150])
@pytest.mark.parametrize(
    ("unsure", "right_there", "right_elsewhere"), [(0.05, 0.0, 0.95), (0.1, 0.0, 0.98), (0.1, 0.5, 0.98), (0.3, 0.4, 1)]
)
def test_few_errors_do_not_make_it_too_sure(
    labels: int, unsure: float, right_there: float, right_elsewhere: float
) -> None:
    """Models that are sure of nearly all texts: 1,000 of each are measured for the first time."""
    rng, held = np.random.default_rng(1), []
    truth = unsure * right_there + (1 - unsure) * right_elsewhere
    for _ in range(1000):
        doubt = rng.random(600) < unsure
        right = rng.random(600) < np.where(doubt, right_there, right_elsewhere)
        confidence = np.where(doubt, 0.5, 0.97) + rng.normal(0, 0.01, 600)
        low, high = interval(*prediction_powered(sampled(right, confidence, labels)))
        held.append(low <= truth <= high)
    assert np.mean(held) >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / len(held))

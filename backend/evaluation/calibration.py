"""Calibrate confidences: of predictions with confidence 0.8, 80 % should be correct.

Temperature scaling: Guo et al., On Calibration of Modern Neural Networks (ICML 2017), section 4.2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

Array = NDArray[np.float64]

_MAX_TEMPERATURE = 20.0  # the minimum is its inverse
_PRIOR_DEVIATION = 0.5  # standard deviation of the log temperature: few labels change it little
_MIN_PROBABILITY = 1e-12
_LABELS_PER_BIN = 10  # at least
_MAX_BINS = 10
_SIMULATED = 2000


def tempered(probs: NDArray[np.floating], temperature: float) -> Array:
    """Probabilities after dividing their logits by the temperature: (…, C) → (…, C), rows sum to 1.

    A temperature above 1 lowers the confidence, below 1 raises it; the ranking of the classes does not change.
    """
    logits = np.log(np.clip(np.asarray(probs, np.float64), _MIN_PROBABILITY, None)) / temperature
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def two_sided(probs: NDArray[np.floating]) -> Array:
    """Independent probabilities p as pairs (p, 1 − p): (…) → (…, 2)."""
    there = np.asarray(probs, np.float64)
    return np.stack([there, 1.0 - there], axis=-1)


def best_temperature(probs: NDArray[np.floating], truth: NDArray[np.integer]) -> float:
    """The most probable temperature given held-out labels, with a prior centered at 1.

    probs: (N, C) rows sum to 1; truth: (N,) class indices.
    """

    def cost(log_temperature: float) -> float:
        right = tempered(probs, float(np.exp(log_temperature)))[np.arange(len(truth)), truth]
        surprise = -np.log(np.clip(right, _MIN_PROBABILITY, None)).sum()
        return float(surprise + log_temperature**2 / (2 * _PRIOR_DEVIATION**2))

    limit = float(np.log(_MAX_TEMPERATURE))
    return float(np.exp(minimize_scalar(cost, bounds=(-limit, limit), method="bounded").x))


def reliability(confidence: Array, correct: NDArray[np.bool_]) -> list[dict[str, float]]:
    """Data of a reliability diagram: mean `confidence`, `accuracy` and number of `labels` of each bin.

    confidence, correct: (N,). Bins of equal size (Nguyen & O'Connor, EMNLP 2015, section 3), at most ten, of at
    least ten labels each; fewer than 20 labels make one bin.
    """
    order = np.argsort(confidence, kind="stable")
    parts = np.array_split(order, max(1, min(_MAX_BINS, len(order) // _LABELS_PER_BIN)))
    return [
        {"confidence": float(confidence[part].mean()), "accuracy": float(correct[part].mean()), "labels": len(part)}
        for part in parts
    ]


def error_by_chance(bins: list[dict[str, float]]) -> float:
    """Expected calibration error of perfectly calibrated confidences, from sampling noise at this number of labels."""
    total = sum(each["labels"] for each in bins)
    of_bins = (each["labels"] * np.sqrt(2 / np.pi * each["confidence"] * (1 - each["confidence"]) / each["labels"])
               for each in bins)  # fmt: skip
    return float(sum(of_bins)) / total


def beyond_chance(bins: list[dict[str, float]]) -> bool:
    """Whether the calibration error is larger than perfectly calibrated confidences show in 19 of 20 cases.

    Labels are independent: one of each text. Simulated, because the normal approximation fails near a confidence of 1.
    """
    rng, errors = np.random.default_rng(0), np.zeros(_SIMULATED)
    for each in bins:
        right = rng.binomial(int(each["labels"]), min(1.0, each["confidence"]), _SIMULATED)
        errors += np.abs(right - each["labels"] * each["confidence"])
    return bool(calibration_error(bins) > np.quantile(errors, 0.95) / sum(each["labels"] for each in bins))


def overconfidence(bins: list[dict[str, float]]) -> float:
    """Mean confidence − share of right answers: above 0 if confidences are too high."""
    total = sum(each["labels"] for each in bins)
    return sum(each["labels"] * (each["confidence"] - each["accuracy"]) for each in bins) / total


def calibration_error(bins: list[dict[str, float]]) -> float:
    """Expected calibration error (ECE): |confidence − accuracy|, averaged over the labels."""
    total = sum(each["labels"] for each in bins)
    return sum(each["labels"] * abs(each["confidence"] - each["accuracy"]) for each in bins) / total

"""Make confidences mean what they say: of predictions with confidence 0.8, eight in ten should be right.

Temperature scaling: Guo et al., On Calibration of Modern Neural Networks (ICML 2017), section 4.2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

Array = NDArray[np.float64]

_HOTTEST = 20.0  # and 1 / 20 the coldest
_PRIOR = 0.5  # standard deviation of the logarithm of temperatures: a few labels change little
_LEAST = 1e-12  # of a probability
_A_BIN = 10  # labels, at least
_BINS = 10


def tempered(probs: NDArray[np.floating], temperature: float) -> Array:
    """Probabilities as their logits divided by the temperature would give them: (…, C) → (…, C), rows sum to 1.

    Above 1 they are less sure, below 1 surer; their order stays.
    """
    logits = np.log(np.clip(np.asarray(probs, np.float64), _LEAST, None)) / temperature
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def two_sided(probs: NDArray[np.floating]) -> Array:
    """Independent probabilities as pairs of it and its opposite: (…) → (…, 2)."""
    there = np.asarray(probs, np.float64)
    return np.stack([there, 1.0 - there], axis=-1)


def best_temperature(probs: NDArray[np.floating], truth: NDArray[np.integer]) -> float:
    """The temperature under which held-out labels are likeliest, with a prior at 1.

    probs: (N, C) rows sum to 1; truth: (N,) the class of each.
    """

    def cost(log_temperature: float) -> float:
        right = tempered(probs, float(np.exp(log_temperature)))[np.arange(len(truth)), truth]
        surprise = -np.log(np.clip(right, _LEAST, None)).sum()
        return float(surprise + log_temperature**2 / (2 * _PRIOR**2))

    limit = float(np.log(_HOTTEST))
    return float(np.exp(minimize_scalar(cost, bounds=(-limit, limit), method="bounded").x))


def reliability(confidence: Array, correct: NDArray[np.bool_]) -> list[dict[str, float]]:
    """What a reliability diagram shows: mean `confidence`, `accuracy` and number of `labels` of each bin.

    confidence, correct: (N,). Bins of equal size (Nguyen & O'Connor, EMNLP 2015, section 3), at most ten and with at
    least ten labels each: few labels make one bin.
    """
    order = np.argsort(confidence, kind="stable")
    parts = np.array_split(order, max(1, min(_BINS, len(order) // _A_BIN)))
    return [
        {"confidence": float(confidence[part].mean()), "accuracy": float(correct[part].mean()), "labels": len(part)}
        for part in parts
    ]


def error_by_chance(bins: list[dict[str, float]]) -> float:
    """The calibration error to expect of confidences that mean exactly what they say, with so few labels."""
    total = sum(each["labels"] for each in bins)
    of_bins = (each["labels"] * np.sqrt(2 / np.pi * each["confidence"] * (1 - each["confidence"]) / each["labels"])
               for each in bins)  # fmt: skip
    return float(sum(of_bins)) / total


def calibration_error(bins: list[dict[str, float]]) -> float:
    """The expected calibration error: by how much confidence and accuracy differ, averaged over the labels."""
    total = sum(each["labels"] for each in bins)
    return sum(each["labels"] * abs(each["confidence"] - each["accuracy"]) for each in bins) / total

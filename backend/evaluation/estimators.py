"""How often a model is right on all texts, estimated from few held-out labels.

Every estimator turns a `Sample` into an `Estimate`; its interval is in `bounds`.

Prediction-powered inference adds what the model itself knows: how confident it is on held-out texts that nobody
labeled. If the labeled ones happen to be easier than the others, the confidences show it, and the labels show how much
a confidence is worth. Angelopoulos et al., Prediction-powered inference (Science 2023); the weight of the confidences
is that of Angelopoulos, Duchi & Zrnic, PPI++ (2023), section 6, which makes it the regression estimator of Cochran,
Sampling Techniques (1977), section 7.3. Valid however badly the confidences are calibrated; then it only gains nothing.
Training labels take no part: the model has memorised them, and they were selected.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_ENOUGH = 20  # labels from which on the weight of the confidences can be estimated


class Sample(NamedTuple):
    """What a model predicted for held-out texts. Labeled or not, they are drawn at random from all texts."""

    right: NDArray[np.bool_]  # whether it agrees with the label: (N,)
    confidence: Array  # of these predictions, on any scale: (N,)
    others: Array  # its confidence on held-out texts without a label, on the same scale: (M,)


class Estimate(NamedTuple):
    """A share of right predictions."""

    score: float
    effective: float  # number of held-out labels that are as precise without other knowledge


Estimator = Callable[[Sample], Estimate]


def held_out(sample: Sample) -> Estimate:
    """The share of right predictions among the labeled texts."""
    return Estimate(float(sample.right.mean()), float(len(sample.right)))


def prediction_powered(sample: Sample) -> Estimate:
    """The share among the labeled texts, corrected by the confidences; unchanged where these predict nothing."""
    plain, labels = held_out(sample), len(sample.right)
    if labels < _ENOUGH or not len(sample.others):
        return plain
    right, confidence = sample.right - plain.score, sample.confidence - sample.confidence.mean()
    shared, spread = float(right @ confidence), float(confidence @ confidence)
    if shared <= 0 or spread <= 0:
        return plain
    explained = shared**2 / (spread * float(right @ right))
    explained = 1 - (1 - explained) * (labels - 1) / (labels - 3)  # less what two fitted numbers explain by chance
    if explained <= 0:
        return plain
    unlabeled = len(sample.others) / (labels + len(sample.others))
    easier = float(sample.confidence.mean() - sample.others.mean())
    score = plain.score - shared / spread * unlabeled * easier
    return Estimate(min(1.0, max(0.0, score)), labels / (1 - unlabeled * explained))


ESTIMATORS: dict[str, Estimator] = {"held_out": held_out, "prediction_powered": prediction_powered}

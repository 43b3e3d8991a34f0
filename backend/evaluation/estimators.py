"""How often a model is right on all texts, estimated from few held-out labels.

Every estimator turns a `Sample` into an `Estimate`; its interval is in `bounds`.

Prediction-powered inference adds what the model itself knows: how confident it is on held-out texts that nobody
labeled. If the labeled ones happen to be easier than the others, the confidences show it, and the labels show how much
a confidence is worth. Angelopoulos et al., Prediction-powered inference (Science 2023); the weight of the confidences
is that of Angelopoulos, Duchi & Zrnic, PPI++ (2023), section 6, which makes it the regression estimator of Cochran,
Sampling Techniques (1977), section 7.3. Badly calibrated confidences gain nothing and harm little. Training labels take
no part: the model has memorised them, and they were selected.

What the confidences explain is itself estimated from few labels, and from very few errors not at all. So it is
estimated cautiously, and only with some right and some wrong predictions; the interval then holds in simulations
(tests/backend/evaluation/test_estimators.py). That is no proof: the stopping rule uses the labels alone, which are
exact.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from backend.evaluation.bounds import ENOUGH

Array = NDArray[np.float64]

_OF_EACH = 5  # right and wrong predictions among them
_CAUTION = 0.3  # standard errors to subtract from the correlation of confidence and being right (Fisher 1921)
_MOST_EXPLAINED = 0.5  # share of the variance: at most twice the effective labels


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
    of_each = min(int(sample.right.sum()), labels - int(sample.right.sum()))
    if labels < ENOUGH or of_each < _OF_EACH or not len(sample.others):
        return plain
    ranks = rankdata(np.concatenate([sample.confidence, sample.others]))
    known, others = ranks[:labels], ranks[labels:]
    right, confidence = sample.right - plain.score, known - known.mean()
    shared, spread = float(right @ confidence), float(confidence @ confidence)
    if shared <= 0 or spread <= 0:
        return plain
    correlation = min(1 - 1e-9, shared / np.sqrt(spread * float(right @ right)))
    cautious = float(np.tanh(np.arctanh(correlation) - _CAUTION / np.sqrt(labels - 3)))
    unlabeled = len(sample.others) / (labels + len(sample.others))
    easier = float(known.mean() - others.mean())
    score = plain.score - shared / spread * unlabeled * easier
    if cautious <= 0 or not 0 < score < 1:
        return plain
    return Estimate(score, labels / (1 - unlabeled * min(_MOST_EXPLAINED, cautious**2)))


ESTIMATORS: dict[str, Estimator] = {"held_out": held_out, "prediction_powered": prediction_powered}

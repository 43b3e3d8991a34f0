"""Variance: for regression, select texts on which committee members or dropout passes disagree most.

Burbidge, Rowland & King, Active Learning for Regression Based on Query by Committee (IDEAL 2007), section 2.
"""

from __future__ import annotations

import numpy as np

from strategies.base import Array
from strategies.ranking import Ranking


def variance(predictions: Array) -> Array:
    """Variance over S members: (S, N) → (N,) float64, in the target's unit squared."""
    return np.asarray(predictions.astype(np.float64).var(axis=0))


def create() -> Ranking:
    """The strategy `variance`."""
    return Ranking("variance", variance, "predictions")

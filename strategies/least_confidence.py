"""Least confidence: select texts whose most probable class has the lowest probability.

Lewis & Gale, A Sequential Algorithm for Training Text Classifiers (SIGIR 1994); Settles, Active Learning
Literature Survey (2009), section 3.1.
"""

from __future__ import annotations

import numpy as np

from strategies.base import Array
from strategies.ranking import Ranking


def least_confidence(probs: Array) -> Array:
    """1 − max_c p(c): (N, C) → (N,) float64 in [0, 1 − 1/C].

    Computed as the sum over the other classes, not by subtraction: confident float32 rows keep their order.
    """
    ordered = np.sort(np.asarray(probs, dtype=np.float64), axis=1)
    return np.asarray(ordered[:, :-1].sum(axis=1))


def create() -> Ranking:
    """The strategy `least_confidence`."""
    return Ranking("least_confidence", least_confidence)

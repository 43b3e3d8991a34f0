"""Margin sampling: ask about the texts whose two best classes are closest.

Scheffer, Decomain & Wrobel, Active Hidden Markov Models for Information Extraction (IDA 2001); Settles (2009),
section 3.1.
"""

from __future__ import annotations

import numpy as np

from strategies.base import Array
from strategies.ranking import ProbabilityRanking


def margin(probs: Array) -> Array:
    """−(p₁ − p₂) for the two likeliest classes: (N, C) → (N,) float64 in [−1, 0]. With one class, −1."""
    probs = np.asarray(probs, dtype=np.float64)
    if probs.shape[1] < 2:
        return np.full(probs.shape[0], -1.0)
    best = np.partition(probs, probs.shape[1] - 2, axis=1)[:, -2:]
    return np.asarray(best[:, 0] - best[:, 1])


def create() -> ProbabilityRanking:
    """The strategy `margin`."""
    return ProbabilityRanking("margin", margin)

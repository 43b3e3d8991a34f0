"""Entropy: select texts with the highest entropy of the predicted class distribution.

Shannon (1948); as a query strategy Dagan & Engelson, Committee-Based Sampling (ICML 1995); Settles (2009), section 3.1.
"""

from __future__ import annotations

import numpy as np
from scipy.special import entr

from strategies.base import Array
from strategies.ranking import Ranking


def entropy(probs: Array) -> Array:
    """−Σ_c p(c) ln p(c) in nats: (N, C) → (N,) float64 in [0, ln C]; 0 ln 0 = 0."""
    return np.asarray(entr(np.asarray(probs, dtype=np.float64)).sum(axis=1))


def create() -> Ranking:
    """The strategy `entropy`."""
    return Ranking("entropy", entropy)

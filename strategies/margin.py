"""Margin sampling: select texts with the smallest difference between the two highest class probabilities.

Scheffer, Decomain & Wrobel, Active Hidden Markov Models for Information Extraction (IDA 2001); Settles (2009),
section 3.1.
"""

from __future__ import annotations

import numpy as np

from strategies.base import Array
from strategies.ranking import Ranking


def margin(probs: Array) -> Array:
    """1 − (p₁ − p₂) for the two most probable classes: (N, C) → (N,) float64 in [0, 1]. With one class: 0."""
    probs = np.asarray(probs, dtype=np.float64)
    if probs.shape[1] < 2:
        return np.zeros(probs.shape[0])
    best = np.partition(probs, probs.shape[1] - 2, axis=1)[:, -2:]
    return np.asarray(1 - (best[:, 1] - best[:, 0]))


def create() -> Ranking:
    """The strategy `margin`."""
    return Ranking("margin", margin)

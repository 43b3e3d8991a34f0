"""Consensus entropy: select texts with the highest entropy of the committee's mean distribution.

Settles, Active Learning Literature Survey (2009), section 3.2, there called soft vote entropy.
"""

from __future__ import annotations

import numpy as np

from strategies.base import Array
from strategies.entropy import entropy
from strategies.ranking import Ranking


def consensus(committee_probs: Array) -> Array:
    """Mean distribution of the members: (S, N, C) → (N, C) float64."""
    return np.asarray(committee_probs.mean(axis=0, dtype=np.float64))


def consensus_entropy(committee_probs: Array) -> Array:
    """Entropy of the mean distribution: (S, N, C) → (N,) float64 in nats."""
    return entropy(consensus(committee_probs))


def create() -> Ranking:
    """The strategy `consensus_entropy`."""
    return Ranking("consensus_entropy", consensus_entropy, "committee_probs")

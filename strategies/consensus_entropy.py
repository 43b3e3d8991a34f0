"""Consensus entropy: ask about the texts on which the committee as a whole is least sure.

Settles, Active Learning Literature Survey (2009), section 3.2, soft vote entropy: the entropy of the members' mean.
"""

from __future__ import annotations

import numpy as np

from strategies.base import Array
from strategies.entropy import entropy
from strategies.ranking import Ranking


def consensus(committee_probs: Array) -> Array:
    """The members' mean distribution: (S, N, C) → (N, C) float64."""
    return np.asarray(committee_probs.mean(axis=0, dtype=np.float64))


def consensus_entropy(committee_probs: Array) -> Array:
    """H of the members' mean: (S, N, C) → (N,) float64 in nats."""
    return entropy(consensus(committee_probs))


def create() -> Ranking:
    """The strategy `consensus_entropy`."""
    return Ranking("consensus_entropy", consensus_entropy, "committee_probs")

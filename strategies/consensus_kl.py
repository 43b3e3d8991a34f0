"""Consensus KL: select texts with the highest mean KL divergence of the members from the committee's mean.

McCallum & Nigam, Employing EM and Pool-Based Active Learning for Text Classification (ICML 1998), section 3.
"""

from __future__ import annotations

import numpy as np
from scipy.special import rel_entr

from strategies.base import Array
from strategies.consensus_entropy import consensus
from strategies.ranking import Ranking


def consensus_kl(committee_probs: Array) -> Array:
    """(1/S) Σ_s KL(p_s ‖ mean): (S, N, C) → (N,) float64 in nats, ≥ 0."""
    mean = np.maximum(consensus(committee_probs), np.finfo(np.float64).tiny)  # the mean can underflow where p does not
    total = np.zeros(mean.shape[0])
    for member in committee_probs:
        total += rel_entr(member.astype(np.float64), mean).sum(axis=1)
    return np.asarray(np.maximum(total / len(committee_probs), 0.0))


def create() -> Ranking:
    """The strategy `consensus_kl`."""
    return Ranking("consensus_kl", consensus_kl, "committee_probs")

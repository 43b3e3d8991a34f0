"""Vote entropy (query by committee): select texts with the highest entropy of the committee's votes.

Dagan & Engelson, Committee-Based Sampling for Training Probabilistic Classifiers (ICML 1995), section 4; Settles,
Active Learning Literature Survey (2009), equation 3.4.
"""

from __future__ import annotations

import numpy as np
from scipy.special import entr

from strategies.base import Array
from strategies.ranking import Ranking


def vote_entropy(committee_probs: Array) -> Array:
    """−Σ_c V(c)/S ln V(c)/S over the votes V of S members: (S, N, C) → (N,) float64 in nats."""
    votes = np.argmax(committee_probs, axis=2)  # (S, N)
    members, size, classes = committee_probs.shape
    counts = np.zeros((size, classes))
    for vote in votes:
        counts[np.arange(size), vote] += 1
    return np.asarray(entr(counts / members).sum(axis=1))


def create() -> Ranking:
    """The strategy `vote_entropy`."""
    return Ranking("vote_entropy", vote_entropy, "committee_probs")

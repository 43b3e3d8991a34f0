"""BALD: select texts by the mutual information between their label and the model parameters.

Houlsby et al., Bayesian Active Learning for Classification and Preference Learning (2011), equation 2; with dropout
passes as committee members: Gal, Islam & Ghahramani, Deep Bayesian Active Learning with Image Data (ICML 2017). For the
same committee the value equals that of `consensus_kl`, which is computed as a mean divergence; the literature uses both
names.
"""

from __future__ import annotations

import numpy as np

from strategies.base import Array
from strategies.consensus_entropy import consensus_entropy
from strategies.entropy import entropy
from strategies.ranking import Ranking


def mutual_information(committee_probs: Array) -> Array:
    """H(mean) − mean H over S members: (S, N, C) → (N,) float64 in nats, ≥ 0."""
    own = np.zeros(committee_probs.shape[1])
    for member in committee_probs:
        own += entropy(member)
    return np.asarray(np.maximum(consensus_entropy(committee_probs) - own / len(committee_probs), 0.0))


def create() -> Ranking:
    """The strategy `bald`."""
    return Ranking("bald", mutual_information, "committee_probs")

"""Co-training: contention points, where two views of the data are confident and disagree.

Blum & Mitchell, Combining Labeled and Unlabeled Data with Co-Training (COLT 1998); as a query strategy:
Muslea, Minton & Knoblock, Selective Sampling with Redundant Views (AAAI 2000), whose aggressive variant selects the
contention points where the less confident view is most confident. The learner's `committee="views"` provides the two
views: frozen embeddings and the fine-tuned model.
"""

from __future__ import annotations

import numpy as np

from strategies.base import Array, PoolError
from strategies.ranking import Ranking


def contention(committee_probs: Array) -> Array:
    """(2, N, C) → (N,) float64. With c the smaller of the two confidences: 1 + c where the views disagree.

    Where they agree: 1 − c in [0, 1), so that these texts rank after all contention points.
    """
    if len(committee_probs) != 2:
        raise PoolError(f"strategy 'co_training' compares 2 views; the committee has {len(committee_probs)} members")
    votes = committee_probs.argmax(axis=2)
    surest = committee_probs.max(axis=2).astype(np.float64).min(axis=0)
    return np.where(votes[0] != votes[1], 1 + surest, 1 - surest)


def create() -> Ranking:
    """The strategy `co_training`."""
    return Ranking("co_training", contention, "committee_probs")

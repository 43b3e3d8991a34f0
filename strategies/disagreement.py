"""Disagreement: select texts on which two views differ, such as a large model and the small one that it teaches.

The divergence of Jensen and Shannon (Lin, Divergence Measures Based on the Shannon Entropy, IEEE Transactions on
Information Theory 1991), which is `consensus_kl` with two members. The learner's `committee="views"` provides them.
"""

from __future__ import annotations

from strategies.base import Array, PoolError
from strategies.consensus_kl import consensus_kl
from strategies.ranking import Ranking


def divergence(committee_probs: Array) -> Array:
    """(2, N, C) → (N,) float64 in nats: 0 where both predict the same, at most log 2."""
    if len(committee_probs) != 2:
        raise PoolError(f"strategy 'disagreement' compares 2 views; the committee has {len(committee_probs)} members")
    return consensus_kl(committee_probs)


def create() -> Ranking:
    """The strategy `disagreement`."""
    return Ranking("disagreement", divergence, "committee_probs")

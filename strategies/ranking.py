"""Turn a score per candidate into a selection: what all score-based strategies share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from strategies.base import Array, Pool, PoolError, Selection, check


def top(scores: Array, n: int, rng: np.random.Generator) -> Selection:
    """The n highest scores, best first; ties are broken at random, so that pool order never decides.

    scores: (N,) finite. O(N + n log n).
    """
    scores = np.asarray(scores, dtype=np.float64)
    k = min(n, scores.size)
    shuffled = rng.permutation(scores.size)
    if 0 < k < scores.size:
        # Candidates at the cut may tie: partition the shuffled scores, so that the tie is drawn fairly.
        shuffled = shuffled[np.argpartition(-scores[shuffled], k - 1)[:k]]
        shuffled = rng.permutation(shuffled)
    order = np.argsort(-scores[shuffled], kind="stable")[:k]
    indices = shuffled[order].astype(np.int64)
    return Selection(indices=indices, scores=scores[indices])


@dataclass(frozen=True, slots=True)
class ProbabilityRanking:
    """Ranks candidates by a function of their class probabilities: (N, C) → (N,), higher = more informative."""

    name: str
    score: Callable[[Array], Array]
    requires: frozenset[str] = frozenset({"probs"})

    def select(self, pool: Pool, n: int, rng: np.random.Generator) -> Selection:
        """The n candidates with the highest score."""
        probs = check(self, pool, n)["probs"]
        if pool.multilabel:
            raise PoolError(f"strategy '{self.name}' reads class probabilities; the pool holds several labels a text")
        return top(self.score(probs), n, rng)

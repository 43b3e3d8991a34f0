"""Turn a score per candidate into a selection: what all score-based strategies share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from strategies.base import CANDIDATE_AXIS, Array, Pool, PoolError, Selection, Strategy, check

_BLOCK = 8192  # candidates scored at once: the float64 copies of a block stay small whatever the pool's size


@runtime_checkable
class Scorer(Strategy, Protocol):
    """A strategy that has a score for each candidate by itself, so that others can build on it."""

    def scores(self, pool: Pool) -> Array:
        """(N,) float64, finite, higher = more informative."""


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
class Ranking:
    """Ranks candidates by a function of one field, applied block by block: higher = more informative.

    score: a block of the field, e.g. (B, C) of `probs` or (S, B, C) of `committee_probs` → (B,).
    """

    name: str
    score: Callable[[Array], Array]
    field: str = "probs"

    @property
    def requires(self) -> frozenset[str]:
        """The one field."""
        return frozenset({self.field})

    def scores(self, pool: Pool) -> Array:
        """(N,) float64. Raises `PoolError` on a missing or malformed field."""
        values = check(self, pool, 1)[self.field]
        if pool.multilabel and self.field in ("probs", "committee_probs"):
            raise PoolError(f"strategy '{self.name}' reads class probabilities; the pool holds several labels a text")
        axis = CANDIDATE_AXIS[self.field]
        out = np.empty(pool.size)
        for start in range(0, pool.size, _BLOCK):
            block = slice(start, start + _BLOCK)
            out[block] = self.score(values[:, block] if axis else values[block])
        return out

    def select(self, pool: Pool, n: int, rng: np.random.Generator) -> Selection:
        """The n candidates with the highest score."""
        check(self, pool, n)
        return top(self.scores(pool), n, rng)

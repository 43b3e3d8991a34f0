"""Random sampling: the baseline for all other strategies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from strategies.base import Pool, Selection, check


@dataclass(frozen=True, slots=True)
class Random:
    """A uniform sample without replacement."""

    name: str = "random"
    requires: frozenset[str] = frozenset()

    def select(self, pool: Pool, n: int, rng: np.random.Generator) -> Selection:
        """Draw min(n, N) candidates; scores are 0, and the probability of each draw is returned."""
        check(self, pool, n)
        k = min(n, pool.size)
        indices = rng.permutation(pool.size)[:k].astype(np.int64)
        left = pool.size - np.arange(k, dtype=np.float64)
        return Selection(indices=indices, scores=np.zeros(k), probabilities=1.0 / left)


def create() -> Random:
    """The strategy `random`."""
    return Random()

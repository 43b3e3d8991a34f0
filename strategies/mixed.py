"""Mixed: a share of the batch by another strategy, at random by default (ε-greedy).

Exploration keeps a model from asking only where it already looks: Osugi, Kun & Scott, Balancing Exploration and
Exploitation (ICDM 2005).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from strategies.base import Pool, Selection, Strategy, StrategyOptionError, check, subset
from strategies.registry import get, nested


@dataclass(frozen=True, slots=True)
class Mixed:
    """Most of the batch by `base`, `share` of it by `other` from what is left, spread evenly through the order."""

    base: Strategy
    other: Strategy
    share: float = 0.1
    name: str = "mixed"

    @property
    def requires(self) -> frozenset[str]:
        """What both strategies read."""
        return self.base.requires | self.other.requires

    def select(self, pool: Pool, n: int, rng: np.random.Generator) -> Selection:
        """Choose min(n, N); scores are those of the strategy that chose, so that they do not fall steadily."""
        check(self, pool, n)
        k = min(n, pool.size)
        others = round(self.share * k)
        indices, scores = np.empty(k, np.int64), np.empty(k)
        places = np.zeros(k, dtype=bool)
        places[((np.arange(others) + 0.5) * k / max(1, others)).astype(np.int64)] = True
        if others < k:
            chosen = self.base.select(pool, k - others, rng)
            indices[~places], scores[~places] = chosen.indices, chosen.scores
        if others:
            left = np.setdiff1d(np.arange(pool.size), indices[~places])
            chosen = self.other.select(subset(pool, left, self.other.requires), others, rng)
            indices[places], scores[places] = left[chosen.indices], chosen.scores
        return Selection(indices=indices, scores=scores)


def create(
    base: str = "margin",
    other: str = "random",
    share: float = 0.1,
    base_options: dict[str, Any] | None = None,
    other_options: dict[str, Any] | None = None,
) -> Mixed:
    """The strategy `mixed`; share: how much of the batch `other` chooses."""
    if not 0 <= share <= 1:
        raise StrategyOptionError(f"mixed: share must be between 0 and 1, not {share}")
    return Mixed(get(base, **nested("mixed", base_options)), get(other, **nested("mixed", other_options)), share)

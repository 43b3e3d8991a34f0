"""Mixed: split the batch among several strategies; by default 90 % `margin` and 10 % `random` (ε-greedy).

Random exploration finds texts outside the regions that the model already samples: Osugi, Kun & Scott, Balancing
Exploration and Exploitation (ICDM 2005).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from strategies.base import Array, Pool, Selection, Strategy, StrategyOptionError, check, subset
from strategies.registry import get, nested


@dataclass(frozen=True, slots=True)
class Mixed:
    """Each of `members` selects its share from the candidates that earlier members left; the parts are interleaved."""

    members: tuple[Strategy, ...]
    shares: tuple[float, ...]  # sum to 1
    name: str = "mixed"

    @property
    def requires(self) -> frozenset[str]:
        """The fields of all members."""
        return frozenset().union(*(member.requires for member in self.members))

    def select(self, pool: Pool, n: int, rng: np.random.Generator) -> Selection:
        """Select min(n, N); score: that of the selecting member, so scores are not monotone."""
        check(self, pool, n)
        k = min(n, pool.size)
        indices: Array = np.empty(0, np.int64)
        scores: Array = np.empty(0)
        by: Array = np.empty(0, np.int64)
        for number, (member, count) in enumerate(zip(self.members, parts(self.shares, k), strict=True)):
            if count:
                left = np.setdiff1d(np.arange(pool.size), indices)
                chosen = member.select(subset(pool, left, member.requires), int(count), rng)
                indices, scores = np.append(indices, left[chosen.indices]), np.append(scores, chosen.scores)
                by = np.append(by, np.full(len(chosen.indices), number))
        order = _spread(by)
        return Selection(indices=indices[order], scores=scores[order], members=by[order])


def parts(shares: Sequence[float], k: int) -> Array:
    """Split k into whole numbers by these shares (largest-remainder method)."""
    exact = np.asarray(shares) * k
    counts: Array = np.floor(exact + 1e-9).astype(np.int64)
    counts[np.argsort(counts - exact, kind="stable")[: k - counts.sum()]] += 1
    return counts


def _spread(by: Array) -> Array:
    """A permutation that interleaves the members evenly and keeps the order within each: (k,) member indices → (k,)."""
    places = np.empty(len(by))
    for number in np.unique(by):
        mine = by == number
        places[mine] = (np.arange(mine.sum()) + 0.5) / mine.sum()
    return np.asarray(np.lexsort((by, places)))


def create(
    base: str = "margin",
    other: str = "random",
    share: float = 0.1,
    base_options: dict[str, Any] | None = None,
    other_options: dict[str, Any] | None = None,
) -> Mixed:
    """The strategy `mixed`; share: fraction of the batch that `other` selects."""
    if not 0 <= share <= 1:
        raise StrategyOptionError(f"mixed: share must be between 0 and 1, not {share}")
    members = get(base, **nested("mixed", base_options)), get(other, **nested("mixed", other_options))
    return Mixed(members, (1 - share, share))

"""Core-set: greedy k-center, each time the text farthest from all that are labeled or chosen.

Sener & Savarese, Active Learning for Convolutional Neural Networks: A Core-Set Approach (ICLR 2018), algorithm 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from strategies.base import Array, Pool, Selection, StrategyOptionError, check
from strategies.distances import squared_norms, to_nearest

_SPACES = {"embeddings": "labeled_embeddings", "features": "labeled_features"}
_AHEAD = 8  # farthest rows whose distances to all others are computed in one product


def k_center(rows: Array, centers: Array, k: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Greedy k-center: (N, D), (M, D) → k row numbers and the distance of each to the nearest center when chosen.

    Exact. The next farthest row is most often among the few that are farthest now, so that their distances to all
    rows are computed together: one pass over the array serves several choices. Without centers the first row is drawn
    at random; its distance counts as 0.
    """
    norms = squared_norms(rows)
    nearest = to_nearest(rows, centers)
    indices, distances = np.empty(k, np.int64), np.empty(k)
    ahead: dict[int, Array] = {}
    for position in range(k):
        first = position == 0 and not len(centers)
        index = int(rng.integers(len(rows))) if first else int(np.argmax(nearest))
        indices[position] = index
        distances[position] = 0.0 if first else np.sqrt(max(float(nearest[index]), 0.0))
        if index not in ahead:
            ahead = _distances_to_all(rows, norms, [index] if first else _farthest(nearest, index, k - position))
        np.minimum(nearest, ahead.pop(index), out=nearest)
        nearest[indices[: position + 1]] = -np.inf  # never again, whatever rounding leaves of 0
    return indices, distances


def _farthest(nearest: Array, index: int, left: int) -> list[int]:
    """The rows that are farthest now, `index` among them."""
    count = min(_AHEAD, left, len(nearest))
    return list({index, *np.argpartition(nearest, -count)[-count:].tolist()})


def _distances_to_all(rows: Array, norms: Array, chosen: list[int]) -> dict[int, Array]:
    """The squared distances of all rows to each chosen one."""
    products = rows[chosen] @ rows.T  # (B, N)
    products *= -2
    products += norms
    products += norms[chosen, None]
    return dict(zip(chosen, np.maximum(products, 0, out=products), strict=True))


@dataclass(frozen=True, slots=True)
class CoreSet:
    """Covers the pool: the largest distance of any text to a labeled one becomes small."""

    space: str = "embeddings"
    name: str = "core_set"

    @property
    def requires(self) -> frozenset[str]:
        """The space it works in, of candidates and labeled texts."""
        return frozenset({self.space, _SPACES[self.space]})

    def select(self, pool: Pool, n: int, rng: np.random.Generator) -> Selection:
        """Choose min(n, N); a score is the distance to the nearest labeled or chosen text."""
        fields = check(self, pool, n)
        rows = fields[self.space]
        centers = fields[_SPACES[self.space]].astype(rows.dtype, copy=False)
        indices, distances = k_center(rows, centers, min(n, pool.size), rng)
        return Selection(indices=indices, scores=distances)


def create(space: str = "embeddings") -> CoreSet:
    """The strategy `core_set`; space: `embeddings` of the base model or `features` of the current one."""
    if space not in _SPACES:
        raise StrategyOptionError(f"core_set: space must be one of {', '.join(_SPACES)}, not '{space}'")
    return CoreSet(space)

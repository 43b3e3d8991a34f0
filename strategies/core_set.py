"""Core-set: greedy k-center; each step selects the text farthest from all labeled and selected texts.

Sener & Savarese, Active Learning for Convolutional Neural Networks: A Core-Set Approach (ICLR 2018), algorithm 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from strategies.base import Array, Pool, Selection, StrategyOptionError, check
from strategies.distances import squared_norms, to_nearest

_SPACES = {"embeddings": "labeled_embeddings", "features": "labeled_features"}
_AHEAD = 8  # farthest rows whose distances to all rows are computed in one matrix product


def k_center(rows: Array, centers: Array, k: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Greedy k-center: (N, D), (M, D) → k row indices, and each one's distance to its nearest center when selected.

    Exact. The next center is usually among the few rows that are farthest now, so their distances to all rows are
    computed together: one pass over the array serves several selections. Without centers the first row is drawn at
    random, with distance 0.
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
        nearest[indices[: position + 1]] = -np.inf  # exclude selected rows: rounding can leave a distance above 0
    return indices, distances


def _farthest(nearest: Array, index: int, left: int) -> list[int]:
    """The rows farthest from their nearest center, `index` included."""
    count = min(_AHEAD, left, len(nearest))
    return list({index, *np.argpartition(nearest, -count)[-count:].tolist()})


def _distances_to_all(rows: Array, norms: Array, chosen: list[int]) -> dict[int, Array]:
    """Squared distances of each chosen row to all rows, by row index: (N,) each."""
    products = rows[chosen] @ rows.T  # (B, N)
    products *= -2
    products += norms
    products += norms[chosen, None]
    return dict(zip(chosen, np.maximum(products, 0, out=products), strict=True))


@dataclass(frozen=True, slots=True)
class CoreSet:
    """Reduces the coverage radius: the largest distance of any text to its nearest labeled or selected text."""

    space: str = "embeddings"
    name: str = "core_set"

    @property
    def requires(self) -> frozenset[str]:
        """The candidates' and the labeled texts' arrays of `space`."""
        return frozenset({self.space, _SPACES[self.space]})

    def select(self, pool: Pool, n: int, rng: np.random.Generator) -> Selection:
        """Select min(n, N); score: distance to the nearest labeled or selected text."""
        fields = check(self, pool, n)
        rows = fields[self.space]
        centers = fields[_SPACES[self.space]].astype(rows.dtype, copy=False)
        indices, distances = k_center(rows, centers, min(n, pool.size), rng)
        return Selection(indices=indices, scores=distances)


def create(space: str = "embeddings") -> CoreSet:
    """The strategy `core_set`; space: `embeddings` of the base model or `features` of the current model."""
    if space not in _SPACES:
        raise StrategyOptionError(f"core_set: space must be one of {', '.join(_SPACES)}, not '{space}'")
    return CoreSet(space)

"""Density-weighted (information density): informativeness times similarity to the pool, which penalizes outliers.

Settles & Craven, An Analysis of Active Learning Strategies for Sequence Labeling Tasks (EMNLP 2008), equation 13.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from strategies.base import Array, Pool, PoolError, Selection, StrategyOptionError, check
from strategies.distances import squared_norms
from strategies.ranking import Scorer, top
from strategies.registry import scorer

_BLOCK = 256  # rows per block
_DENSITIES = ("pool", "neighbors")


def mean_similarity(rows: Array) -> Array:
    """Mean cosine similarity of each row to all rows: (N, D) → (N,) float64. O(N·D), as x·Σy / N."""
    norms = np.sqrt(squared_norms(rows))
    norms[norms == 0] = 1
    direction = (rows.T @ (1 / norms)).astype(np.float64)  # Σ y/|y|
    return np.asarray(rows @ (direction / len(rows)).astype(rows.dtype) / norms, dtype=np.float64)


def neighbor_similarity(rows: Array, others: Array, neighbors: int) -> Array:
    """Mean cosine similarity of each row to its nearest `others`, itself excluded: (N, D), (M, D) → (N,)."""
    others = others / np.maximum(np.sqrt(squared_norms(others)), 1e-12)[:, None]
    k = min(neighbors + 1, len(others))
    out = np.empty(len(rows))
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK]
        similar = block @ others.T
        similar /= np.maximum(np.sqrt(squared_norms(block)), 1e-12)[:, None]
        similar.partition(len(others) - k, axis=1)
        nearest = similar[:, len(others) - k :]
        itself = nearest.max(axis=1) > 1 - 1e-5
        total = nearest.sum(axis=1) - np.where(itself, nearest.max(axis=1), nearest.min(axis=1))
        out[start : start + _BLOCK] = total / max(1, k - 1)
    return out


@dataclass(frozen=True, slots=True)
class DensityWeighted:
    """score = base score × density^β. A negative mean similarity counts as density 0."""

    base: Scorer
    beta: float = 1.0
    density: str = "pool"
    neighbors: int = 20
    max_candidates: int = 20_000
    name: str = "density_weighted"

    @property
    def requires(self) -> frozenset[str]:
        """The base strategy's fields, and embeddings."""
        return self.base.requires | {"embeddings"}

    def scores(self, pool: Pool) -> Array:
        """(N,) float64. Raises `PoolError` if a base score is negative and so cannot be weighted."""
        rows = check(self, pool, 1)["embeddings"]
        scores = self.base.scores(pool)
        if not pool.size:
            return scores
        if scores.min() < 0:
            raise PoolError(f"density_weighted: scores of '{self.base.name}' are negative, so they cannot be weighted")
        if self.density == "pool":
            return np.asarray(scores * np.maximum(mean_similarity(rows), 0) ** self.beta)
        return np.asarray(scores * self._by_neighbors(rows, scores) ** self.beta)

    def _by_neighbors(self, rows: Array, scores: Array) -> Array:
        """Density by nearest neighbours: (N, D), (N,) → (N,).

        Quadratic. Above `max_candidates`, only the best by base score get a density, computed on every k-th row of the
        pool; for all others it is 0.
        """
        density = np.zeros(len(rows))
        best = (
            np.argpartition(-scores, self.max_candidates)[: self.max_candidates]
            if len(rows) > self.max_candidates
            else ...
        )
        step = -(-len(rows) // self.max_candidates)
        density[best] = np.maximum(neighbor_similarity(rows[best], rows[::step], self.neighbors), 0)
        return density

    def select(self, pool: Pool, n: int, rng: np.random.Generator) -> Selection:
        """Select the min(n, N) candidates with the highest weighted score."""
        check(self, pool, n)
        return top(self.scores(pool), n, rng)


def create(
    base: str = "entropy",
    beta: float = 1.0,
    density: str = "pool",
    neighbors: int = 20,
    max_candidates: int = 20_000,
    base_options: dict[str, Any] | None = None,
) -> DensityWeighted:
    """The strategy `density_weighted`; density: mean similarity to the whole `pool` or to the nearest `neighbors`."""
    if density not in _DENSITIES:
        raise StrategyOptionError(f"density_weighted: density must be one of {', '.join(_DENSITIES)}, not '{density}'")
    if beta < 0 or neighbors < 1 or max_candidates <= neighbors:
        raise StrategyOptionError(
            "density_weighted: beta ≥ 0, neighbors ≥ 1 and max_candidates > neighbors are required"
        )
    return DensityWeighted(scorer("density_weighted", base, base_options), beta, density, neighbors, max_candidates)

"""BADGE: batches of texts with long and diverse gradient embeddings.

Ash et al., Deep Batch Active Learning by Diverse, Uncertain Gradient Lower Bounds (ICLR 2020), algorithm 1. The
gradient embedding is the gradient of the loss at the predicted label with respect to the last layer: g = a ⊗ h with
a = p − onehot(ŷ). Its C·D entries are never materialized: |g|² = |a|²|h|² and g·g′ = (a·a′)(h·h′).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from strategies.base import Array, Pool, PoolError, Selection, check
from strategies.distances import squared_norms

_AHEAD = 8  # rows drawn per pass over the pool
_ROUNDING = 1e-6  # squared distances below this fraction of the squared norms count as 0


def k_means_plus_plus(
    residuals: Array, features: Array, k: int, rng: np.random.Generator
) -> tuple[Array, Array, Array]:
    """k-means++ seeding on the rows residuals ⊗ features: (N, C), (N, D) → k row indices, distances, probabilities.

    The first seed is the longest gradient, as in the authors' code. Each next seed is drawn with probability
    proportional to its squared distance to the nearest selected one. Several rows are drawn per pass, and their
    distances computed together. Rejection sampling, which accepts a row with probability (distance now / distance when
    drawn)², gives the same distribution as drawing one by one.
    """
    norms = squared_norms(residuals).astype(np.float64) * squared_norms(features)
    nearest = np.full(len(norms), np.inf)
    free = np.ones(len(norms), dtype=bool)
    chosen: list[int] = []
    scores: list[float] = []
    probabilities: list[float] = []

    def choose(index: int, score: float, probability: float, distances: Array) -> None:
        chosen.append(index)
        scores.append(score)
        probabilities.append(probability)
        free[index] = False
        np.minimum(nearest, distances, out=nearest)
        nearest[index] = 0.0

    if k:
        first = int(np.argmax(norms))
        choose(first, float(np.sqrt(norms[first])), 1.0, _distances(residuals, features, norms, [first])[0])
    while len(chosen) < k:
        drawn_from = nearest.copy()
        total = drawn_from.sum()
        if not total > 0:  # all remaining rows equal a selected one: draw uniformly
            left = np.flatnonzero(free)
            for index in rng.permutation(left)[: k - len(chosen)]:
                choose(int(index), 0.0, 1.0 / (len(norms) - len(chosen)), nearest)
            break
        count = min(_AHEAD, k - len(chosen))
        drawn = np.searchsorted(np.cumsum(drawn_from), rng.random(count) * total, side="right").clip(max=len(norms) - 1)
        columns = _distances(residuals, features, norms, drawn)
        for index, distances in zip(drawn.tolist(), columns, strict=True):
            if rng.random() * drawn_from[index] < nearest[index]:
                choose(index, float(np.sqrt(nearest[index])), float(nearest[index] / nearest.sum()), distances)
    return np.array(chosen, np.int64), np.array(scores, np.float64), np.array(probabilities, np.float64)


def _distances(residuals: Array, features: Array, norms: Array, chosen: Array | list[int]) -> Array:
    """Squared distances of the B chosen gradients to all: (B, N) float64, ≥ 0."""
    products = (residuals[chosen] @ residuals.T).astype(np.float64)
    products *= features[chosen] @ features.T
    products *= -2
    for row, index in zip(products, chosen, strict=True):
        scale = norms + norms[index]
        row += scale
        row[row < _ROUNDING * scale] = 0.0
    return np.asarray(products)


@dataclass(frozen=True, slots=True)
class Badge:
    """Draws a batch by k-means++ seeding on the gradient embeddings."""

    name: str = "badge"
    requires: frozenset[str] = frozenset({"probs", "features"})

    def select(self, pool: Pool, n: int, rng: np.random.Generator) -> Selection:
        """Select min(n, N); score: distance to the nearest gradient selected before, for the first its length."""
        fields = check(self, pool, n)
        if pool.multilabel:
            raise PoolError("strategy 'badge' needs single-label class probabilities; the pool is multi-label")
        residuals = fields["probs"].copy()  # (p − onehot(ŷ)): (N, C)
        residuals[np.arange(pool.size), residuals.argmax(axis=1)] -= 1
        return Selection(*k_means_plus_plus(residuals, fields["features"], min(n, pool.size), rng))


def create() -> Badge:
    """The strategy `badge`."""
    return Badge()

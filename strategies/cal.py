"""CAL (contrastive active learning): texts whose predictions differ from those of their nearest labeled texts.

Margatina, Vernikos, Barrault & Aletras, Active Learning by Acquiring Contrastive Examples (EMNLP 2021), algorithm 1.
As in the paper, neighbours are labeled texts only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from strategies.base import Array, Pool, PoolError, Selection, StrategyOptionError, check
from strategies.distances import squared_norms
from strategies.ranking import top

_BLOCK = 4096  # candidates per block
_MIN_PROBABILITY = 1e-12  # a float32 softmax can return 0


def contrast(probs: Array, features: Array, labeled_probs: Array, labeled_features: Array, neighbors: int) -> Array:
    """Mean KL(p_l ‖ p_x) over the nearest labeled l of each x: (N, C), (N, D), (M, C), (M, D) → (N,) float64 in nats.

    KL(p_l ‖ p_x) = −H(p_l) − p_l · ln p_x, so a block costs two matrix products. Without labeled texts: 0.
    """
    out = np.zeros(len(probs))
    k = min(neighbors, len(labeled_probs))
    if not k:
        return out
    labels = np.maximum(labeled_probs.astype(np.float64), _MIN_PROBABILITY)
    negative_entropy = (labels * np.log(labels)).sum(axis=1)  # (M,)
    norms = squared_norms(labeled_features)
    for start in range(0, len(probs), _BLOCK):
        block = slice(start, start + _BLOCK)
        distances = norms - 2 * (features[block] @ labeled_features.T)  # (B, M) squared, up to a constant per row
        nearest = np.argpartition(distances, k - 1, axis=1)[:, :k]
        log_probs = np.log(np.maximum(probs[block].astype(np.float64), _MIN_PROBABILITY))
        divergences = negative_entropy - log_probs @ labels.T  # (B, M)
        out[block] = np.take_along_axis(divergences, nearest, axis=1).mean(axis=1)
    return np.maximum(out, 0, out=out)  # rounding can give small negative values


@dataclass(frozen=True, slots=True)
class Cal:
    """Ranks by the divergence from the nearest labeled texts in the current model's feature space."""

    neighbors: int = 10
    name: str = "cal"
    requires: frozenset[str] = frozenset({"probs", "features", "labeled_probs", "labeled_features"})

    def scores(self, pool: Pool) -> Array:
        """(N,) float64 in nats."""
        fields = check(self, pool, 1)
        if pool.multilabel:
            raise PoolError("strategy 'cal' needs single-label class probabilities; the pool is multi-label")
        return contrast(
            fields["probs"], fields["features"], fields["labeled_probs"], fields["labeled_features"], self.neighbors
        )

    def select(self, pool: Pool, n: int, rng: np.random.Generator) -> Selection:
        """Select min(n, N); score: mean divergence."""
        check(self, pool, n)
        return top(self.scores(pool), n, rng)


def create(neighbors: int = 10) -> Cal:
    """The strategy `cal`; neighbors: labeled neighbours per candidate, 10 as in the paper."""
    if neighbors < 1:
        raise StrategyOptionError(f"cal: neighbors must be at least 1, not {neighbors}")
    return Cal(neighbors)

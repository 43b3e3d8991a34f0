"""Rare: uncertain texts that may belong to classes with few labels so far.

Score: expected class rarity Σ_c p_c / (1 + n_c), with n_c the label counts, times the score of `margin`. A selected
text adds its class probabilities to n, so that one class does not fill the batch. Weights that fall with a class's
count are the usual remedy for imbalance (Cui et al., Class-Balanced Loss Based on Effective Number of Samples, CVPR
2019, section 3, with β near 1); the product with uncertainty is our own, measured in benchmarks/results/balance.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from strategies.base import Array, Pool, PoolError, Selection, check
from strategies.margin import margin


@dataclass(frozen=True, slots=True)
class Rare:
    """Selects one text after another, each with the highest score under the current class counts."""

    name: str = "rare"
    requires: frozenset[str] = frozenset({"probs", "class_counts"})

    def select(self, pool: Pool, n: int, rng: np.random.Generator) -> Selection:
        """Select min(n, N); score: value when selected."""
        fields = check(self, pool, n)
        if pool.multilabel:
            raise PoolError("strategy 'rare' needs single-label class probabilities; the pool is multi-label")
        if fields["class_counts"].shape[0] != fields["probs"].shape[1]:
            raise PoolError(
                f"pool.class_counts has {fields['class_counts'].shape[0]} classes; pool.probs has "
                f"{fields['probs'].shape[1]}"
            )
        return Selection(*lacking(fields["probs"], fields["class_counts"], min(n, pool.size), rng))


def lacking(probs: Array, counts: Array, k: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Row indices and scores in order of selection: (N, C) probabilities, (C,) counts → (k,), (k,)."""
    probs, counts = np.asarray(probs, np.float64), np.asarray(counts, np.float64)
    unsure, ties = margin(probs), rng.random(len(probs))
    left = np.ones(len(probs), bool)
    rows, scores = np.empty(k, np.int64), np.empty(k)
    for place in range(k):
        score = np.where(left, probs @ (1.0 / (1.0 + counts)) * unsure, -np.inf)
        best = np.flatnonzero(score == score.max())
        row = best[ties[best].argmax()]
        rows[place], scores[place], left[row] = row, score[row], False
        counts = counts + probs[row]
    return rows, scores


def create() -> Rare:
    """The strategy `rare`."""
    return Rare()

"""Hybrid: shortlist the most uncertain texts, then select a diverse batch from the shortlist.

Zhdanov, Diverse Mini-Batch Active Learning (2019), algorithm 1: k-means on the shortlist, weighted by informativeness,
then the text nearest to each center. With `k_center`: the greedy core-set of the shortlist instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.cluster import KMeans

from strategies.base import Array, Pool, Selection, StrategyOptionError, check
from strategies.core_set import k_center
from strategies.distances import squared_norms, unit_rows
from strategies.ranking import Scorer, top
from strategies.registry import scorer

_DIVERSITIES = ("k_means", "k_center")


@dataclass(frozen=True, slots=True)
class Hybrid:
    """Selects n diverse texts among the `factor` · n most uncertain ones."""

    base: Scorer
    factor: float = 10.0
    diversity: str = "k_means"
    name: str = "hybrid"

    @property
    def requires(self) -> frozenset[str]:
        """The base strategy's fields, and embeddings; for k-center also those of labeled texts."""
        embeddings = {"embeddings"} if self.diversity == "k_means" else {"embeddings", "labeled_embeddings"}
        return self.base.requires | embeddings

    def select(self, pool: Pool, n: int, rng: np.random.Generator) -> Selection:
        """Select min(n, N), most uncertain first; score: the base strategy's."""
        fields = check(self, pool, n)
        scores = self.base.scores(pool)
        shortlist = top(scores, max(n, round(self.factor * n)), rng).indices
        k = min(n, pool.size)
        rows = unit_rows(fields["embeddings"][shortlist])
        chosen: Array = np.arange(k)
        if k == len(shortlist):
            pass
        elif self.diversity == "k_means":
            chosen = _nearest_to_centers(rows, scores[shortlist], k, rng)
        else:
            labeled = unit_rows(fields["labeled_embeddings"].astype(rows.dtype))
            chosen, _ = k_center(rows, labeled, k, rng)
        order = np.sort(chosen)  # the shortlist is sorted by base score
        return Selection(indices=shortlist[order], scores=scores[shortlist[order]])


def _nearest_to_centers(rows: Array, weights: Array, k: int, rng: np.random.Generator) -> Array:
    """For each of k weighted k-means centers the nearest row not taken before: (L, D), (L,) → (k,) row indices."""
    shifted = weights - weights.min()  # scores have no common zero; the lowest gets a small weight
    model = KMeans(k, n_init=1, random_state=int(rng.integers(2**31 - 1)))
    model.fit(rows, sample_weight=shifted + 1e-3 * max(float(shifted.max()), 1e-12))
    centers = model.cluster_centers_
    distances = squared_norms(rows) - 2 * (centers @ rows.T) + squared_norms(centers)[:, None]  # (k, L)
    chosen: list[int] = []
    for row in distances:
        row[chosen] = np.inf
        chosen.append(int(np.argmin(row)))
    return np.array(chosen, np.int64)


def create(
    base: str = "margin", factor: float = 10.0, diversity: str = "k_means", base_options: dict[str, Any] | None = None
) -> Hybrid:
    """The strategy `hybrid`; factor: shortlist size as a multiple of n; diversity: `k_means` or `k_center`."""
    if factor < 1:
        raise StrategyOptionError(f"hybrid: factor must be at least 1, not {factor}")
    if diversity not in _DIVERSITIES:
        raise StrategyOptionError(f"hybrid: diversity must be one of {', '.join(_DIVERSITIES)}, not '{diversity}'")
    return Hybrid(scorer("hybrid", base, base_options), factor, diversity)

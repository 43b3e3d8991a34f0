"""ProbCover: for cold start, cover as many texts as possible by balls around the selected ones.

Yehuda, Dekel, Hacohen & Weinshall, Active Learning Through a Covering Lens (NeurIPS 2022), algorithm 1. The
radius is by section 3.3: the largest at which balls are pure, with k-means clusters in place of the unknown classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from strategies.base import Array, Pool, Selection, StrategyOptionError, check
from strategies.clusters import cluster
from strategies.distances import to_nearest, unit_rows

_BLOCK = 256  # rows per block
_SAMPLE = 2000  # rows sampled to estimate purity


def radius(rows: Array, clusters: int, purity: float, rng: np.random.Generator) -> float:
    """The largest Euclidean radius at which the fraction `purity` of balls holds one cluster only. rows: (N, D).

    A ball is pure up to the distance from its center to the nearest row of another cluster; the radius is a
    quantile of these distances.
    """
    member_of = cluster(rows, clusters, rng)
    sample = rng.permutation(len(rows))[:_SAMPLE]
    pure_up_to = np.full(len(sample), 2.0)  # the largest distance on the unit sphere
    for number in np.unique(member_of):
        own = member_of[sample] == number
        others = rows[member_of != number]
        if len(others):
            pure_up_to[own] = np.sqrt(to_nearest(rows[sample[own]], others))
    return float(np.quantile(pure_up_to, 1 - purity))


def neighbourhoods(rows: Array, delta: float) -> Array:
    """Which rows lie within `delta` of each row: (N, D) unit vectors → (N, N) bits, packed to (N, ⌈N/8⌉) uint8."""
    out = np.empty((len(rows), -(-len(rows) // 8)), dtype=np.uint8)
    least = 1 - delta * delta / 2  # cosine
    for start in range(0, len(rows), _BLOCK):
        near = rows[start : start + _BLOCK] @ rows.T >= least
        out[start : start + _BLOCK] = np.packbits(near, axis=1)
    return out


@dataclass(frozen=True, slots=True)
class ProbCover:
    """Greedy maximum coverage. Above `max_candidates`, a random sample represents the pool."""

    clusters: int = 20
    purity: float = 0.95
    delta: float = 0.0
    max_candidates: int = 20_000
    name: str = "prob_cover"
    requires: frozenset[str] = frozenset({"embeddings", "labeled_embeddings"})

    def select(self, pool: Pool, n: int, rng: np.random.Generator) -> Selection:
        """Select min(n, N); score: fraction of texts newly covered."""
        fields = check(self, pool, n)
        k = min(n, pool.size)
        if not k:
            return Selection(np.empty(0, np.int64), np.empty(0))
        part = np.sort(rng.permutation(pool.size)[: max(self.max_candidates, k)])
        rows = unit_rows(fields["embeddings"][part])
        labeled = unit_rows(fields["labeled_embeddings"].astype(rows.dtype))
        delta = self.delta or radius(rows, self.clusters, self.purity, rng)
        covered = to_nearest(rows, labeled) <= delta * delta
        chosen, gains = _cover(neighbourhoods(rows, delta), covered, k, rng)
        return Selection(indices=part[chosen].astype(np.int64), scores=gains / len(rows))


def _cover(near: Array, covered: Array, k: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Select k times the row with the most uncovered neighbours: packed (N, N) bits, (N,) → row indices, their gains.

    A row is subtracted from its neighbours' gains once, when it becomes covered: all k selections together unpack
    each row once.
    """
    size = len(covered)
    order = rng.permutation(size)  # ties are broken at random
    gain = np.zeros(size, dtype=np.int64)
    for row in np.flatnonzero(~covered):
        gain += np.unpackbits(near[row], count=size)
    covered = covered.copy()
    taken = np.zeros(size, dtype=bool)
    chosen, gains = np.empty(k, np.int64), np.empty(k)
    for position in range(k):
        index = int(order[np.argmax(np.where(taken, -1, gain)[order])])
        chosen[position], gains[position] = index, gain[index]
        taken[index] = True
        newly = np.flatnonzero(np.unpackbits(near[index], count=size).astype(bool) & ~covered)
        covered[newly] = True
        for row in newly:
            gain -= np.unpackbits(near[row], count=size)
    return chosen, gains


def create(clusters: int = 20, purity: float = 0.95, delta: float = 0.0, max_candidates: int = 20_000) -> ProbCover:
    """The strategy `prob_cover`; `delta` > 0 sets the radius; 0 estimates it from `clusters` and `purity`."""
    if clusters < 1 or max_candidates < 1 or delta < 0:
        raise StrategyOptionError("prob_cover: clusters and max_candidates must be at least 1, delta at least 0")
    if not 0 < purity <= 1:
        raise StrategyOptionError(f"prob_cover: purity must be in (0, 1], not {purity}")
    return ProbCover(clusters, purity, delta, max_candidates)

"""Cluster-based selection, shared by the cold-start strategies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from strategies.base import Array, Pool, Selection, StrategyOptionError, check
from strategies.distances import unit_rows

_MAX_EXACT = 50  # exact k-means up to this many clusters, then mini-batches, as in TypiClust's own code


def cluster(embeddings: Array, clusters: int, rng: np.random.Generator) -> Array:
    """Cluster index of each row: (n, D) → (n,). At most `clusters` clusters, and no more than distinct rows."""
    from sklearn.cluster import KMeans, MiniBatchKMeans  # takes a second, for options that only name this strategy

    seed = int(rng.integers(2**31 - 1))
    distinct: set[bytes] = set()
    for row in embeddings:  # stops once there are enough distinct rows
        if len(distinct) == clusters:
            break
        distinct.add(row.tobytes())
    clusters = len(distinct)
    if clusters <= _MAX_EXACT:
        model = KMeans(clusters, n_init=1, random_state=seed)
    else:
        model = MiniBatchKMeans(clusters, n_init=1, batch_size=max(1024, 2 * clusters), random_state=seed)
    return np.asarray(model.fit_predict(embeddings))


@dataclass(frozen=True, slots=True)
class OfEachCluster:
    """Clusters labeled and unlabeled texts into M + n groups and selects from the least covered, then largest cluster.

    represents: unit vectors of one cluster's candidates, (n, D) → (n,) representativeness.
    """

    name: str
    represents: Callable[[Array], Array]
    max_clusters: int
    min_cluster_size: int
    requires: frozenset[str] = frozenset({"embeddings", "labeled_embeddings"})

    def select(self, pool: Pool, n: int, rng: np.random.Generator) -> Selection:
        """Select min(n, N); score: representativeness within the cluster."""
        fields = check(self, pool, n)
        k = min(n, pool.size)
        if k == 0:
            return Selection(indices=np.empty(0, np.int64), scores=np.empty(0))
        labeled = fields["labeled_embeddings"]
        every = unit_rows(labeled, fields["embeddings"])
        candidates = every[len(labeled) :]
        member_of = cluster(every, min(len(labeled) + k, self.max_clusters), rng)
        clusters = int(member_of.max()) + 1

        covered = np.bincount(member_of[: len(labeled)], minlength=clusters)  # labeled or selected texts per cluster
        sizes = np.bincount(member_of, minlength=clusters)
        ranked = self._ranked_members(candidates, member_of[len(labeled) :], clusters)
        indices = np.empty(k, np.int64)
        scores = np.empty(k, np.float64)
        for position in range(k):
            # Fewest labeled or selected texts first, then clusters that are not outliers, then the largest.
            choice = min(
                (c for c in range(clusters) if ranked[c]),
                key=lambda c: (covered[c], sizes[c] < self.min_cluster_size, -sizes[c]),
            )
            indices[position], scores[position] = ranked[choice].pop()
            covered[choice] += 1
        return Selection(indices=indices, scores=scores)

    def _ranked_members(self, candidates: Array, member_of: Array, clusters: int) -> list[list[tuple[int, float]]]:
        """Each cluster's candidates with their representativeness, ascending, so that `pop` returns the best."""
        ranked: list[list[tuple[int, float]]] = []
        for number in range(clusters):
            members = np.flatnonzero(member_of == number)
            values = self.represents(candidates[members]) if len(members) else np.empty(0)
            order = np.argsort(values, kind="stable")
            ranked.append([(int(members[i]), float(values[i])) for i in order])
        return ranked


def of_each_cluster(
    name: str, represents: Callable[[Array], Array], max_clusters: int, min_cluster_size: int
) -> OfEachCluster:
    """Build the strategy. Raises `StrategyOptionError` if max_clusters < 1."""
    if max_clusters < 1:
        raise StrategyOptionError(f"{name}: max_clusters must be at least 1, not {max_clusters}")
    return OfEachCluster(name, represents, max_clusters, min_cluster_size)

"""TypiClust: the most typical text of each cluster not yet labeled. For the first queue and small budgets.

Hacohen, Dekel & Weinshall, Active Learning on a Budget: Opposite Strategies Suit High and Low Budgets (ICML 2022),
section 3 and algorithm 1. Embeddings are normalised here, so that Euclidean and cosine neighbours are the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.neighbors import NearestNeighbors

from strategies.base import Array, Pool, Selection, StrategyOptionError, check
from strategies.distances import unit_rows

_SMALL = 50  # at most so many clusters use exact k-means, as in the paper's code


def typicality(embeddings: Array, neighbors: int) -> Array:
    """1 / mean Euclidean distance to the nearest `neighbors` others: (n, D) → (n,). A lone text has typicality 0."""
    count = embeddings.shape[0]
    k = min(neighbors, count - 1)
    if k < 1:
        return np.zeros(count)
    distances, _ = NearestNeighbors(n_neighbors=k).fit(embeddings).kneighbors()
    return np.asarray(1.0 / (distances.mean(axis=1) + 1e-5), dtype=np.float64)


def cluster(embeddings: Array, clusters: int, rng: np.random.Generator) -> Array:
    """A cluster number for each row: (n, D) → (n,), below `clusters` and below the number of distinct rows."""
    seed = int(rng.integers(2**31 - 1))
    distinct: set[bytes] = set()
    for row in embeddings:  # as far as it takes to see that there are enough
        if len(distinct) == clusters:
            break
        distinct.add(row.tobytes())
    clusters = len(distinct)
    if clusters <= _SMALL:
        model = KMeans(clusters, n_init=1, random_state=seed)
    else:
        model = MiniBatchKMeans(clusters, n_init=1, batch_size=max(1024, 2 * clusters), random_state=seed)
    return np.asarray(model.fit_predict(embeddings))


@dataclass(frozen=True, slots=True)
class TypiClust:
    """Clusters labeled and unlabeled texts into M + n groups and walks through them, largest uncovered first."""

    max_clusters: int = 500
    neighbors: int = 20
    min_cluster_size: int = 5
    name: str = "typiclust"
    requires: frozenset[str] = frozenset({"embeddings", "labeled_embeddings"})

    def select(self, pool: Pool, n: int, rng: np.random.Generator) -> Selection:
        """Choose min(n, N); a score is the typicality within the text's cluster."""
        fields = check(self, pool, n)
        k = min(n, pool.size)
        if k == 0:
            return Selection(indices=np.empty(0, np.int64), scores=np.empty(0))
        labeled = fields["labeled_embeddings"]
        every = unit_rows(labeled, fields["embeddings"])
        candidates = every[len(labeled) :]
        member_of = cluster(every, min(len(labeled) + k, self.max_clusters), rng)
        clusters = int(member_of.max()) + 1

        covered = np.bincount(member_of[: len(labeled)], minlength=clusters)  # labeled or chosen texts a cluster
        sizes = np.bincount(member_of, minlength=clusters)
        ranked = self._ranked_members(candidates, member_of[len(labeled) :], clusters)
        indices = np.empty(k, np.int64)
        scores = np.empty(k, np.float64)
        for position in range(k):
            # Fewest covered first, then clusters large enough to be no outliers, then the largest.
            choice = min(
                (c for c in range(clusters) if ranked[c]),
                key=lambda c: (covered[c], sizes[c] < self.min_cluster_size, -sizes[c]),
            )
            indices[position], scores[position] = ranked[choice].pop()
            covered[choice] += 1
        return Selection(indices=indices, scores=scores)

    def _ranked_members(self, candidates: Array, member_of: Array, clusters: int) -> list[list[tuple[int, float]]]:
        """Each cluster's candidates with their typicality, most typical last."""
        ranked: list[list[tuple[int, float]]] = []
        for number in range(clusters):
            members = np.flatnonzero(member_of == number)
            values = typicality(candidates[members], self.neighbors)
            order = np.argsort(values, kind="stable")
            ranked.append([(int(members[i]), float(values[i])) for i in order])
        return ranked


def create(max_clusters: int = 500, neighbors: int = 20, min_cluster_size: int = 5) -> TypiClust:
    """The strategy `typiclust`; the options are those of the paper."""
    for option, value in (("max_clusters", max_clusters), ("neighbors", neighbors)):
        if value < 1:
            raise StrategyOptionError(f"typiclust: {option} must be at least 1, not {value}")
    return TypiClust(max_clusters, neighbors, min_cluster_size)

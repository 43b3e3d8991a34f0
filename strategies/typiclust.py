"""TypiClust: the most typical text of each cluster without labels. For cold start and small budgets.

Hacohen, Dekel & Weinshall, Active Learning on a Budget: Opposite Strategies Suit High and Low Budgets (ICML 2022),
section 3 and algorithm 1. Embeddings are scaled to unit length, so that Euclidean and cosine neighbours agree.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from sklearn.neighbors import NearestNeighbors

from strategies.base import Array, StrategyOptionError
from strategies.clusters import OfEachCluster, of_each_cluster


def typicality(embeddings: Array, neighbors: int) -> Array:
    """1 / mean Euclidean distance to the nearest `neighbors` others: (n, D) → (n,). A single text has typicality 0."""
    count = embeddings.shape[0]
    k = min(neighbors, count - 1)
    if k < 1:
        return np.zeros(count)
    distances, _ = NearestNeighbors(n_neighbors=k).fit(embeddings).kneighbors()
    return np.asarray(1.0 / (distances.mean(axis=1) + 1e-5), dtype=np.float64)


def create(max_clusters: int = 500, neighbors: int = 20, min_cluster_size: int = 5) -> OfEachCluster:
    """The strategy `typiclust`; options and defaults are those of the paper."""
    if neighbors < 1:
        raise StrategyOptionError(f"typiclust: neighbors must be at least 1, not {neighbors}")
    return of_each_cluster("typiclust", partial(typicality, neighbors=neighbors), max_clusters, min_cluster_size)

"""k-means: the text nearest the center of each cluster not yet labeled. The product's cold start.

The center is that of the cluster's unlabeled texts.

Kang, Ryu & Kwon, Using Cluster-Based Sampling to Select Initial Training Set for Active Learning in Text Classification
(PAKDD 2004). It walks through the clusters as TypiClust does. Where a densest spot holds texts of one mould, which
TypiClust prefers, the middle of the cluster teaches more: docs/reference/strategies.md has the comparison.
"""

from __future__ import annotations

import numpy as np

from strategies.base import Array
from strategies.clusters import OfEachCluster, of_each_cluster


def closeness(rows: Array) -> Array:
    """1 / (1 + distance to the rows' mean): (n, D) → (n,) float64 in (0, 1]."""
    return np.asarray(1 / (1 + np.linalg.norm(rows - rows.mean(axis=0), axis=1).astype(np.float64)))


def create(max_clusters: int = 500, min_cluster_size: int = 5) -> OfEachCluster:
    """The strategy `k_means`; clusters smaller than `min_cluster_size` come last."""
    return of_each_cluster("k_means", closeness, max_clusters, min_cluster_size)

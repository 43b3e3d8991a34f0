"""k-means: the text nearest to the center of each cluster without labels. The default cold start.

The center is the mean of the cluster's unlabeled texts.

Kang, Ryu & Kwon, Using Cluster-Based Sampling to Select Initial Training Set for Active Learning in Text Classification
(PAKDD 2004). Clusters are visited in TypiClust's order. TypiClust selects from the densest spot of a cluster; where
that spot holds near-identical texts, the text nearest to the center teaches more (docs/reference/strategies.md).
"""

from __future__ import annotations

import numpy as np

from strategies.base import Array
from strategies.clusters import OfEachCluster, of_each_cluster


def closeness(rows: Array) -> Array:
    """1 / (1 + distance to the rows' mean): (n, D) → (n,) float64 in (0, 1]."""
    return np.asarray(1 / (1 + np.linalg.norm(rows - rows.mean(axis=0), axis=1).astype(np.float64)))


def create(max_clusters: int = 500, min_cluster_size: int = 5) -> OfEachCluster:
    """The strategy `k_means`; clusters smaller than `min_cluster_size` are visited last."""
    return of_each_cluster("k_means", closeness, max_clusters, min_cluster_size)

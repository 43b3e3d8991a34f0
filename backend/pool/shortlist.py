"""Preselect texts of a large pool for scoring with the adapter, by embeddings that are already stored.

`probe`: a linear head is the proxy model, as in Coleman et al., Selection via Proxy (ICLR 2020); the texts that it is
least certain of are scored. `neighbors`: the texts most similar to the labeled ones, SEALS, Coleman et al., Similarity
Search for Efficient Active Learning and Search of Rare Concepts (AAAI 2022), algorithm 1. The search is exact and
blockwise: one matrix product per block and round, which costs less than building an index.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import normalize

from backend.learners.heads.probe import Probe

Vectors = NDArray[Any]  # (B, D)
Blocks = Iterable[Vectors]  # of N candidates, in their order
NEIGHBORS = 100  # per labeled text, as in section 4
_AT_ONCE = 256  # labeled texts per matrix product


def doubts(blocks: Blocks, probes: Iterable[Probe]) -> list[NDArray[np.float32]]:
    """The uncertainty by each probe: (N,)."""
    each = list(probes)
    found = [[probe.doubt(block) for probe in each] for block in blocks]
    return [np.concatenate(parts) for parts in zip(*found, strict=True)]


def most(scores: NDArray[Any], size: int) -> NDArray[np.int64]:
    """Indices of the `size` highest scores, ascending; of equal scores the first."""
    return np.sort(np.argsort(-scores, kind="stable")[:size])


def neighbors(blocks: Blocks, labeled: Vectors, size: int, *, k: int = NEIGHBORS) -> NDArray[np.int64]:
    """Indices of the k candidates nearest to each labeled text by cosine similarity, ascending.

    If these exceed `size`: the nearest of each text first, then the second nearest, …, by similarity within a rank.
    """
    queries = normalize(labeled).astype(np.float32)  # (M, D)
    alike = np.full((len(queries), k), -np.inf, np.float32)
    nearest = np.full((len(queries), k), -1, np.int64)
    start = 0
    for block in blocks:
        unit = normalize(block).astype(np.float32).T
        for some in (slice(at, at + _AT_ONCE) for at in range(0, len(queries), _AT_ONCE)):
            cosines = np.concatenate([alike[some], queries[some] @ unit], axis=1)
            kept = np.argpartition(-cosines, k - 1, axis=1)[:, :k]
            alike[some] = np.take_along_axis(cosines, kept, axis=1)
            former = np.take_along_axis(nearest[some], kept.clip(max=k - 1), axis=1)
            nearest[some] = np.where(kept < k, former, start + kept - k)
        start += len(block)
    order = np.argsort(-alike, axis=1, kind="stable")
    by_rank = np.take_along_axis(nearest, order, axis=1).T  # (k, M): nearest of each, then second nearest of each
    cosines = np.take_along_axis(alike, order, axis=1).T
    first = np.take_along_axis(by_rank, np.argsort(-cosines, axis=1, kind="stable"), axis=1).ravel()
    found, places = np.unique(first[first >= 0], return_index=True)
    return np.sort(found[np.argsort(places)][:size])

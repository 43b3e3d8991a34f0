"""Which texts of a large pool are worth the adapter's time, by embeddings that are there already.

`probe`: a linear head stands for the adapter, as in Coleman et al., Selection via Proxy (ICLR 2020), and the adapter
reads those that it is least sure of. `neighbors`: those most like the labeled ones, SEALS, Coleman et al., Similarity
Search for Efficient Active Learning and Search of Rare Concepts (AAAI 2022), algorithm 1. Its nearest neighbours are
found exactly, block by block: one product of matrices for each round's labels, which costs less than to build an index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import normalize

from backend.learners import heads

Vectors = NDArray[Any]  # (B, D)
Blocks = Iterable[Vectors]  # of N candidates, in their order
Doubt = Callable[[Vectors], NDArray[np.float32]]  # (B,), higher where less sure

PROBED = frozenset({"classification", "pairwise", "multilabel"})  # kinds that a linear head tells
NEIGHBORS = 100  # of each labeled text, as in section 4
_AT_ONCE = 256  # labeled texts


def doubts(blocks: Blocks, of: Iterable[Doubt]) -> list[NDArray[np.float32]]:
    """What each probe doubts, (N,)."""
    each = list(of)
    found = [[doubt(block) for doubt in each] for block in blocks]
    return [np.concatenate(parts) for parts in zip(*found, strict=True)]


def of_one_class(vectors: Vectors, targets: NDArray[np.int64], classes: int) -> Doubt:
    """A head that tells one class a text, and doubts by the margin between its two likeliest.

    vectors: (M, D); targets: (M,) numbers of classes.
    """
    head = heads.fit(vectors, targets, classes)

    def doubt(block: Vectors) -> NDArray[np.float32]:
        first, second = np.partition(head.alone(block), [-2, -1], axis=1)[:, [-1, -2]].T
        return np.asarray(1 - (first - second), np.float32)

    return doubt


def of_labels(vectors: Vectors, given: NDArray[np.int64]) -> Doubt:
    """A head for each of several labels, and doubts by the mean of their margins; given: (M, C) of 0 and 1."""
    of_each = [of_one_class(vectors, column, 2) for column in given.T]
    return lambda block: np.asarray(np.mean([doubt(block) for doubt in of_each], axis=0), np.float32)


def most(scores: NDArray[Any], size: int) -> NDArray[np.int64]:
    """The places of the `size` highest scores, ascending; of equal ones the first."""
    return np.sort(np.argsort(-scores, kind="stable")[:size])


def neighbors(blocks: Blocks, labeled: Vectors, size: int, *, k: int = NEIGHBORS) -> NDArray[np.int64]:
    """The places of the k candidates most like each labeled text, ascending.

    If those are more than `size`, of each labeled text as many fewer as it takes. Likeness is the cosine.
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
    by_rank = np.take_along_axis(nearest, order, axis=1).T  # (k, M): the nearest of each, then the second of each
    cosines = np.take_along_axis(alike, order, axis=1).T
    first = np.take_along_axis(by_rank, np.argsort(-cosines, axis=1, kind="stable"), axis=1).ravel()
    found, places = np.unique(first[first >= 0], return_index=True)
    return np.sort(found[np.argsort(places)][:size])

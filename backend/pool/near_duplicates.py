"""Texts that nearly repeat another: their embeddings are almost the same.

Embeddings of some models all point in one direction, so that any two are similar. Without the mean of texts that are
not alike, one threshold means about the same for all models: benchmarks/results/near_duplicates.md.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import normalize

SIMILAR = 0.95  # cosine without the mean, from which texts nearly repeat each other
MOST = 20_000  # texts that are compared with each other: some seconds on two cores
_ALIKE = 0.1  # of the distance of texts that are not alike: texts that are closer count once in the mean
_SAMPLE = 500  # texts of which that distance is taken
_BLOCK = 512

Array = NDArray[Any]


def leaders(vectors: Array, similarity: float) -> NDArray[np.int64]:
    """For each of N texts the row of the earlier text that it nearly repeats, or its own row: (N, D) → (N,).

    Only texts that repeat no earlier one are compared with; of several the most similar. So no chain of small
    differences joins texts that are not alike.
    """
    if not len(vectors):
        return np.empty(0, np.int64)
    _, first, same = np.unique(vectors, axis=0, return_index=True, return_inverse=True)
    distinct = np.sort(first)  # each text once, in their order
    found = _leaders(normalize(vectors[distinct] - _mean(vectors[distinct])), similarity)
    return np.asarray(distinct[found][np.searchsorted(distinct, first[same.ravel()])], np.int64)


def _mean(vectors: Array) -> Array:
    """The mean of texts that are not alike, since a frequent template would be the mean of all: (D,)."""
    unit = normalize(vectors)
    some = unit[np.random.default_rng(0).permutation(len(unit))[:_SAMPLE]]
    far = 1 - np.quantile((some @ some.T)[np.triu_indices(len(some), 1)], 0.01) if len(some) > 1 else 0.0
    return np.asarray(vectors[np.unique(_leaders(unit, 1 - _ALIKE * far))].mean(axis=0))


def _leaders(unit: Array, similarity: float) -> NDArray[np.int64]:
    """As `leaders`, for vectors of length one."""
    unit = unit.astype(np.float32)
    found = np.arange(len(unit), dtype=np.int64)
    leads = np.zeros(len(unit), np.bool_)
    for start in range(0, len(unit), _BLOCK):
        block = unit[start : start + _BLOCK]
        rows = np.arange(start, start + len(block))
        earlier = np.flatnonzero(leads[:start])
        most: NDArray[Any] = np.full(len(block), -np.inf, np.float32)  # similarity to the most similar that leads
        which: NDArray[Any] = rows
        if len(earlier):
            cosines = block @ unit[earlier].T
            most, which = cosines.max(axis=1), earlier[cosines.argmax(axis=1)]
        within = block @ block.T
        for place, row in enumerate(rows):  # in their order, since a text that repeats another leads none
            if most[place] >= similarity:
                found[row] = which[place]
            else:
                leads[row] = True
                better = within[place] > most
                most, which = np.where(better, within[place], most), np.where(better, row, which)
    return found

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
_OF_MEAN = 4000  # texts of which the mean is taken
_COMPONENTS = 64  # principal ones, in which most texts differ
_ROUNDING = 1e-4  # of cosines in single precision
_BLOCK = 512

Array = NDArray[Any]


def leaders(vectors: Array, similarity: float) -> NDArray[np.int64]:
    """For each of N texts the row of the earlier text that it nearly repeats, or its own row: (N, D) → (N,).

    Only texts that repeat no earlier one are compared with; of several the most similar. So no chain of small
    differences joins texts that are not alike.
    """
    if not len(vectors):
        return np.empty(0, np.int64)
    first: dict[bytes, int] = {}
    same = np.array([first.setdefault(vector.tobytes(), row) for row, vector in enumerate(vectors)])
    distinct = np.unique(same)  # each text once, in their order
    found = _leaders(normalize(vectors[distinct] - _mean(vectors[distinct])), similarity)
    return np.asarray(distinct[found][np.searchsorted(distinct, same)], np.int64)


def _mean(vectors: Array) -> Array:
    """The mean of texts that are not alike, since a frequent template would be the mean of all: (D,)."""
    rng = np.random.default_rng(0)
    vectors = vectors[np.sort(rng.permutation(len(vectors))[:_OF_MEAN])]
    unit = normalize(vectors)
    some = unit[rng.permutation(len(unit))[:_SAMPLE]]
    far = 1 - np.quantile((some @ some.T)[np.triu_indices(len(some), 1)], 0.01) if len(some) > 1 else 0.0
    return np.asarray(vectors[np.unique(_leaders(unit, 1 - _ALIKE * far))].mean(axis=0))


def _shortened(unit: Array) -> Array:
    """Vectors of which every product is at least that of `unit`, but with fewer components: (N, D) → (N, K).

    The principal components, and the length of the rest: the product of the rests is at most that of their lengths
    (Cauchy and Schwarz).
    """
    if unit.shape[1] <= _COMPONENTS:
        return unit
    axes = np.linalg.eigh(unit.T @ unit)[1][:, -_COMPONENTS:]
    main = unit @ axes
    rest = np.sqrt(np.maximum(0, 1 - np.einsum("nk,nk->n", main, main)))
    return np.column_stack([main, rest]).astype(np.float32)


def _leaders(unit: Array, similarity: float) -> NDArray[np.int64]:
    """As `leaders`, for vectors of length one."""
    unit = unit.astype(np.float32)
    short = _shortened(unit)
    found = np.arange(len(unit), dtype=np.int64)
    leads = np.zeros(len(unit), np.bool_)
    for start in range(0, len(unit), _BLOCK):
        block = unit[start : start + _BLOCK]
        rows = np.arange(start, start + len(block))
        earlier = np.flatnonzero(leads[:start])
        most: NDArray[Any] = np.full(len(block), -np.inf, np.float32)  # similarity to the most similar that leads
        which: NDArray[Any] = rows.copy()
        if len(earlier):
            at_most = (short[start : start + _BLOCK] @ short[earlier].T).max(axis=1)
            near = np.flatnonzero(at_most >= similarity - _ROUNDING)
            if len(near):
                cosines = block[near] @ unit[earlier].T
                most[near], which[near] = cosines.max(axis=1), earlier[cosines.argmax(axis=1)]
        leads[rows], found[rows] = most < similarity, np.where(most < similarity, rows, which)
        within = block @ block.T
        alike = np.tril(within >= similarity, -1)
        for place in np.flatnonzero(alike.any(axis=1)):  # in their order: a text that repeats another leads none
            leading = np.flatnonzero(alike[place] & leads[rows])
            if len(leading) and within[place, leading].max() > most[place]:
                found[rows[place]] = rows[leading[within[place, leading].argmax()]]
                leads[rows[place]] = False
    return found

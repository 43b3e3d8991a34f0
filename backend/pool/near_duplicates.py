"""Texts that nearly repeat another: their embeddings are almost the same.

Embeddings of some models all point in one direction, so that any two are similar. Without their mean, one threshold
means about the same for all models: benchmarks/results/near_duplicates.md.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import normalize

SIMILAR = 0.95  # cosine without the mean, from which texts nearly repeat each other
MOST = 20_000  # texts that are compared with each other: some seconds on two cores
_BLOCK = 512


def leaders(vectors: NDArray[Any], similarity: float) -> NDArray[np.int64]:
    """For each of N texts the row of the earlier text that it nearly repeats, or its own row: (N, D) → (N,).

    Only texts that repeat no earlier one are compared with; of several the most similar. So no chain of small
    differences joins texts that are not alike.
    """
    unit = normalize(vectors - vectors.mean(axis=0)).astype(np.float32) if len(vectors) else vectors
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

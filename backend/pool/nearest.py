"""The texts most similar to one: an exact search, block by block, over embeddings that are already stored."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import normalize

Vectors = NDArray[Any]


def cosines(blocks: Iterable[Vectors], query: Vectors) -> NDArray[np.float32]:
    """The cosine similarity of each of N texts to the query. blocks: (B, D) in their order; query: (D,) → (N,)."""
    unit = normalize(query[None]).astype(np.float32)[0]
    found = [normalize(block).astype(np.float32) @ unit for block in blocks]
    return np.concatenate([np.empty(0, np.float32), *found])


def highest(scores: NDArray[Any], most: int) -> NDArray[np.int64]:
    """Indices of the highest scores, the highest first; of equal scores the first."""
    return np.argsort(-scores, kind="stable")[:most]

"""Euclidean distances between rows, computed in blocks: no N × M array, no copy of the input."""

from __future__ import annotations

import numpy as np

from strategies.base import Array

_BLOCK = 16_384  # rows per block


def squared_norms(rows: Array) -> Array:
    """|x|² of each row: (N, D) → (N,) in the input's precision."""
    return np.asarray(np.einsum("nd,nd->n", rows, rows))


def to_nearest(rows: Array, centers: Array) -> Array:
    """Squared distance of each row to its nearest center: (N, D), (M, D) → (N,) ≥ 0; infinite without centers."""
    out = np.full(len(rows), np.inf, dtype=rows.dtype)
    if not len(centers):
        return out
    of_centers = squared_norms(centers)
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK]
        distances = block @ centers.T
        distances *= -2
        distances += of_centers
        out[start : start + _BLOCK] = distances.min(axis=1) + squared_norms(block)
    return np.maximum(out, 0, out=out)


def unit_rows(*parts: Array) -> Array:
    """Rows of all parts, scaled to unit length, in one new array of the last part's precision."""
    from sklearn.preprocessing import normalize  # as in clusters.py

    rows = np.concatenate(parts, dtype=np.result_type(parts[-1], np.float32))
    return np.asarray(normalize(rows, copy=False)) if len(rows) else rows

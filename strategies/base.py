"""Common types of query strategies: the pool they read, the selection they return, the errors they raise."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class StrategyError(ValueError):
    """A request that a strategy cannot fulfil; the message states what to change."""


class UnknownStrategyError(StrategyError):
    """No strategy has this name."""


class StrategyOptionError(StrategyError):
    """The strategy has no such option, or cannot use its value."""


class PoolError(StrategyError):
    """The pool lacks a required field, a field is malformed, or n < 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """N unlabeled candidates and M ≥ 0 labeled examples; C classes, D dimensions, S committee members."""

    size: int  # N
    multilabel: bool = False  # whether each text may have several labels
    probs: Array | None = None  # (N, C) rows sum to 1; if multilabel, independent probabilities
    labeled_probs: Array | None = None  # (M, C)
    committee_probs: Array | None = None  # (S, N, C)
    predictions: Array | None = None  # (S, N) regression outputs of S members or dropout passes
    features: Array | None = None  # (N, D) last hidden state of the current model
    labeled_features: Array | None = None  # (M, D)
    embeddings: Array | None = None  # (N, D) from the frozen base model
    labeled_embeddings: Array | None = None  # (M, D)
    gradient_lengths: Array | None = None  # (N,) expected gradient length
    uncertainty: Array | None = None  # (N,) aggregated per text by the learner
    class_counts: Array | None = None  # (C,) labels per class so far


@dataclass(frozen=True, slots=True)
class Selection:
    """The selected candidates, best first; k = min(n, N)."""

    indices: Array  # (k,) int64, unique
    scores: Array  # (k,) float64, value when selected; higher = more informative
    probabilities: Array | None = None  # (k,) chance of each draw given the earlier ones; None unless sampled
    members: Array | None = None  # (k,) int64, index of the selecting member of a combined strategy


class Strategy(Protocol):
    """Selects the most informative candidates."""

    @property
    def name(self) -> str:
        """The name for `strategies.get`."""

    @property
    def requires(self) -> frozenset[str]:
        """The `Pool` fields that `select` reads; no others need to be computed."""

    def select(self, pool: Pool, n: int, rng: np.random.Generator) -> Selection:
        """Select min(n, N) candidates. Raises `PoolError` on a missing or malformed field and on n < 1."""


# The axis of length N of each candidate field; all other fields have no such axis.
CANDIDATE_AXIS = {
    "probs": 0,
    "features": 0,
    "embeddings": 0,
    "gradient_lengths": 0,
    "uncertainty": 0,
    "committee_probs": 1,
    "predictions": 1,
}
_DIMENSIONS = {
    "gradient_lengths": 1,
    "uncertainty": 1,
    "class_counts": 1,
    "committee_probs": 3,
}
_BLOCK = 1 << 22  # values checked at a time, so that the check needs little memory


def subset(pool: Pool, indices: Array, wanted: Collection[str]) -> Pool:
    """The pool restricted to these candidates; of the candidate fields only `wanted` are kept. indices: (k,) int64."""
    values: dict[str, Any] = {}
    for field, axis in CANDIDATE_AXIS.items():
        value = getattr(pool, field)
        kept = field in wanted and value is not None
        values[field] = np.take(np.asarray(value), indices, axis=axis) if kept else None
    return replace(pool, size=len(indices), **values)


def check(strategy: Strategy, pool: Pool, n: int) -> dict[str, Array]:
    """The required fields by name. Raises `PoolError` on a missing or malformed field and on n < 1."""
    if n < 1:
        raise PoolError(f"strategy '{strategy.name}' selects at least 1 candidate; n is {n}")
    known = {field.name for field in fields(Pool)}
    arrays: dict[str, Array] = {}
    for field in sorted(strategy.requires):
        if field not in known:
            raise PoolError(f"strategy '{strategy.name}' requires '{field}', which is not a field of Pool")
        value = getattr(pool, field)
        if value is None:
            raise PoolError(f"strategy '{strategy.name}' needs pool.{field}, which was not given")
        array = np.asarray(value)
        dimensions = _DIMENSIONS.get(field, 2)
        if array.ndim != dimensions:
            raise PoolError(f"pool.{field} has {array.ndim} dimensions; expected {dimensions}")
        axis = CANDIDATE_AXIS.get(field)
        if axis is not None and array.shape[axis] != pool.size:
            raise PoolError(f"pool.{field} has {array.shape[axis]} candidates; pool.size is {pool.size}")
        if not _finite(array, axis or 0):
            raise PoolError(f"pool.{field} contains NaN or infinite values")
        arrays[field] = array
    return arrays


def _finite(array: Array, axis: int) -> bool:
    """Whether all values are finite, checked block by block along the axis."""
    count = array.shape[axis]
    rows = max(1, _BLOCK * count // max(1, array.size))
    blocks = (slice(start, start + rows) for start in range(0, count, rows))
    return all(np.isfinite(array[:, block] if axis else array[block]).all() for block in blocks)

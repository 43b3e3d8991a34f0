"""Turn a score per candidate into a selection; shared by all score-based strategies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from strategies.base import CANDIDATE_AXIS, Array, Pool, PoolError, Selection, Strategy, check

_BLOCK = 8192  # candidates scored at a time, so that float64 copies stay small for any pool size


@runtime_checkable
class Scorer(Strategy, Protocol):
    """A strategy that scores each candidate independently, so that others can build on it."""

    def scores(self, pool: Pool) -> Array:
        """(N,) float64, finite, higher = more informative."""


def top(scores: Array | Iterable[Array], n: int, rng: np.random.Generator) -> Selection:
    """The n highest scores, best first; ties are broken at random, independently of pool order.

    scores: (N,) finite, as one array or block by block. O(N + n log n) time and memory for one block: scores below the
    n-th best so far are dropped.
    """
    best: Array = np.empty(0)
    keys: Array = np.empty(0)
    rows: Array = np.empty(0, np.int64)
    start = 0
    for block in _blocks(scores) if isinstance(scores, np.ndarray) else scores:
        passing = np.flatnonzero(block >= best[-1]) if len(best) == n else np.arange(len(block))
        if len(passing):
            best = np.concatenate([best, block[passing]])
            keys = np.concatenate([keys, rng.random(len(passing))])
            rows = np.concatenate([rows, passing + start])
            order = np.lexsort((keys, -best))[:n]
            best, keys, rows = best[order], keys[order], rows[order]
        start += len(block)
    return Selection(indices=rows, scores=best)


def _blocks(values: Array) -> Iterator[Array]:
    return (values[start : start + _BLOCK] for start in range(0, len(values), _BLOCK))


@dataclass(frozen=True, slots=True)
class Ranking:
    """Ranks candidates by a function of one field, applied block by block: higher = more informative.

    score: a block of the field, e.g. (B, C) of `probs` or (S, B, C) of `committee_probs` → (B,).
    """

    name: str
    score: Callable[[Array], Array]
    field: str = "probs"

    @property
    def requires(self) -> frozenset[str]:
        """The field that `score` reads."""
        return frozenset({self.field})

    def scores(self, pool: Pool) -> Array:
        """(N,) float64. Raises `PoolError` on a missing or malformed field."""
        return np.concatenate([np.empty(0), *self._by_block(pool, 1)])

    def select(self, pool: Pool, n: int, rng: np.random.Generator) -> Selection:
        """The n candidates with the highest score."""
        return top(self._by_block(pool, n), n, rng)

    def _by_block(self, pool: Pool, n: int) -> Iterator[Array]:
        values = check(self, pool, n)[self.field]
        if pool.multilabel and self.field in ("probs", "committee_probs"):
            raise PoolError(f"strategy '{self.name}' needs single-label class probabilities; the pool is multi-label")
        axis = CANDIDATE_AXIS[self.field]
        for start in range(0, pool.size, _BLOCK):
            block = slice(start, start + _BLOCK)
            yield self.score(values[:, block] if axis else values[block])

"""MaxHerding: cover the pool with Gaussian kernels around labeled and selected texts. For cold start and few labels.

Bae, Noh & Sutherland, Generalized Coverage for More Robust Low-Budget Active Learning (ECCV 2024), section 3.2. The
coverage of a text is its largest kernel value with a labeled or selected text; each selection adds most to the sum of
coverages. `prob_cover` is the case of a kernel that is 0 or 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from strategies.base import Array, Pool, Selection, StrategyOptionError, check
from strategies.distances import unit_rows
from strategies.ranking import Scorer

SIGMA = 0.6  # of the kernel, on unit vectors, whose distances are at most 2
_BLOCK = 512  # rows per block
_AHEAD = 16  # candidates whose gains are recomputed in one matrix product


@dataclass(frozen=True, slots=True)
class Herding:
    """Greedy maximum of weighted kernel coverage. Weights are the scores of `base`, or 1 without it.

    A pool above `max_references` is represented by a random sample, and the texts that may be selected by a sample of
    `max_candidates` drawn in proportion to their weights: time and memory stay linear in the pool's size.
    """

    name: str
    base: Scorer | None = None
    sigma: float = SIGMA
    max_candidates: int = 4000
    max_references: int = 20_000

    @property
    def requires(self) -> frozenset[str]:
        """Embeddings, and the base strategy's fields."""
        return frozenset({"embeddings", "labeled_embeddings"}) | (self.base.requires if self.base else frozenset())

    def select(self, pool: Pool, n: int, rng: np.random.Generator) -> Selection:
        """Select min(n, N); score: increase of the pool's mean weighted coverage."""
        fields = check(self, pool, n)
        k = min(n, pool.size)
        if not k:
            return Selection(np.empty(0, np.int64), np.empty(0))
        weights = np.maximum(self.base.scores(pool), 0.0) if self.base else np.ones(pool.size)
        candidates = _drawn(weights, max(self.max_candidates, k), rng)
        references = np.sort(rng.permutation(pool.size)[: self.max_references])
        points = unit_rows(fields["embeddings"][references])
        covered = coverage(points, unit_rows(fields["labeled_embeddings"].astype(points.dtype)), self.sigma)
        chosen, gains = herd(
            unit_rows(fields["embeddings"][candidates]), points, weights[references], covered, self.sigma, k
        )
        return Selection(indices=candidates[chosen].astype(np.int64), scores=gains / len(points))


def _drawn(weights: Array, size: int, rng: np.random.Generator) -> Array:
    """Up to `size` indices in random order, drawn without replacement in proportion to the weights.

    Efraimidis & Spirakis, Weighted random sampling with a reservoir (2006): the largest of u^(1/w), in logarithms.
    """
    keys = rng.exponential(size=len(weights)) / np.maximum(weights, 1e-12)
    first = np.argpartition(keys, size - 1)[:size] if size < len(weights) else np.arange(len(weights))
    return np.asarray(first[rng.permutation(len(first))])


def kernel(rows: Array, others: Array, sigma: float) -> Array:
    """exp(−|x − y|² / σ²) of unit vectors: (B, D), (R, D) → (B, R)."""
    values = rows @ others.T
    values -= 1
    values *= 2 / sigma**2
    return np.asarray(np.exp(values, out=values))


def coverage(points: Array, centers: Array, sigma: float) -> Array:
    """The largest kernel value of each point with a center: (R, D), (M, D) → (R,); 0 without centers."""
    out = np.zeros(len(points), dtype=points.dtype)
    for start in range(0, len(centers), _BLOCK):
        np.maximum(out, kernel(centers[start : start + _BLOCK], points, sigma).max(axis=0), out=out)
    return out


def herd(rows: Array, points: Array, weights: Array, covered: Array, sigma: float, k: int) -> tuple[Array, Array]:
    """Select k rows; each adds most to Σ weights · coverage. Returns row indices, (k,), and their gains, (k,).

    rows: (B, D); points: (R, D), whose coverage counts; weights, covered: (R,). Exact: gains only fall as texts become
    covered, so a row whose recomputed gain is at least all former gains of the others is the best one (Minoux,
    Accelerated greedy algorithms for maximizing submodular set functions, 1978). Equal gains: the first row.
    """
    gains = np.empty(len(rows))
    for start in range(0, len(rows), _BLOCK):
        gains[start : start + _BLOCK] = _gains(rows[start : start + _BLOCK], points, weights, covered, sigma)
    covered = covered.copy()
    fresh = np.ones(len(rows), dtype=bool)  # whether a gain is up to date
    chosen, found = np.empty(k, np.int64), np.empty(k)
    for position in range(k):
        while not fresh[best := int(np.argmax(gains))]:
            ahead = np.argsort(-gains, kind="stable")[:_AHEAD] if len(rows) > _AHEAD else np.arange(len(rows))
            stale = ahead[~fresh[ahead] & (gains[ahead] > -np.inf)]
            gains[stale] = np.minimum(gains[stale], _gains(rows[stale], points, weights, covered, sigma))
            fresh[stale] = True
        chosen[position], found[position] = best, gains[best]
        np.maximum(covered, kernel(rows[best : best + 1], points, sigma)[0], out=covered)
        fresh[:] = False
        gains[best] = -np.inf
    return chosen, found


def _gains(rows: Array, points: Array, weights: Array, covered: Array, sigma: float) -> Array:
    """Increase of the weighted coverage by each row alone: (B,) float64."""
    added = kernel(rows, points, sigma)
    added -= covered
    np.maximum(added, 0, out=added)
    return np.asarray(added @ weights.astype(added.dtype), dtype=np.float64)


def create(sigma: float = SIGMA, max_candidates: int = 4000, max_references: int = 20_000) -> Herding:
    """The strategy `max_herding`; sigma: width of the kernel."""
    return herding("max_herding", None, sigma, max_candidates, max_references)


def herding(name: str, base: Scorer | None, sigma: float, max_candidates: int, max_references: int) -> Herding:
    """A herding strategy. Raises `StrategyOptionError` for values out of range."""
    if not sigma > 0 or max_candidates < 1 or max_references < 1:
        raise StrategyOptionError(f"{name}: sigma must be above 0, max_candidates and max_references at least 1")
    return Herding(name, base, sigma, max_candidates, max_references)

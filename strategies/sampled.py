"""Sampled: draw by the rank of a base strategy's score, with a known probability for each draw.

Labels weighted by their draw probabilities estimate model quality without selection bias, and a drawn batch is more
diverse than the top of the ranking. Soft-rank acquisition: Kirsch et al., Stochastic Batch Acquisition: A
Simple Baseline for Deep Active Learning (TMLR 2023), section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from strategies.base import Array, Pool, Selection, StrategyOptionError, check
from strategies.ranking import Scorer
from strategies.registry import scorer


@dataclass(frozen=True, slots=True)
class Sampled:
    """Draws without replacement, with probability proportional to rank^−beta; rank 1 is the best."""

    base: Scorer
    beta: float = 1.0  # 0 draws uniformly, large values approach the top n
    name: str = "sampled"

    @property
    def requires(self) -> frozenset[str]:
        """The base strategy's fields."""
        return self.base.requires

    def select(self, pool: Pool, n: int, rng: np.random.Generator) -> Selection:
        """Draw min(n, N) candidates, in the order of the draws; score: the base strategy's."""
        check(self, pool, n)
        scores = self.base.scores(pool)
        indices, probabilities = draw(soft_ranks(scores, self.beta, rng), min(n, pool.size), rng)
        return Selection(indices=indices, scores=scores[indices], probabilities=probabilities)


def soft_ranks(scores: Array, beta: float, rng: np.random.Generator) -> Array:
    """Log-weights −beta · log rank: (N,) → (N,); ties are ranked at random."""
    order = np.lexsort((rng.random(len(scores)), -scores))
    ranks = np.empty(len(scores))
    ranks[order] = np.arange(1, len(scores) + 1)
    return np.asarray(-beta * np.log(ranks))


def draw(log_weights: Array, k: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draw k of N without replacement in proportion to the weights: row indices in order, probability of each draw.

    Gumbel top-k: the k largest log-weights plus Gumbel noise, in order (Vieira 2014; Kool et al., ICML 2019).
    """
    noisy = log_weights + rng.gumbel(size=len(log_weights))
    rows = np.argsort(-noisy, kind="stable")[:k].astype(np.int64)
    weights = np.exp(log_weights - log_weights.max(initial=-np.inf))
    undrawn = np.delete(weights, rows).sum()
    left = undrawn + np.cumsum(weights[rows][::-1])[::-1]  # summed from the end: differences would lose precision
    return rows, weights[rows] / left


def create(base: str = "margin", base_options: dict[str, Any] | None = None, beta: float = 1.0) -> Sampled:
    """The strategy `sampled`."""
    if not 0.0 <= beta <= 10.0:
        raise StrategyOptionError(f"strategy 'sampled': beta must be from 0 to 10, not {beta}")
    return Sampled(scorer("sampled", base, base_options), float(beta))

"""Estimate a model's risk from actively selected texts, weighted by their draw probabilities.

The levelled unbiased risk estimator, R_LURE: Farquhar, Gal & Rainforth, On Statistical Bias in Active Learning: How and
When to Fix It (ICLR 2021), section 3.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from backend.evaluation.measures import score_interval

Array = NDArray[np.float64]


class Draws(NamedTuple):
    """Sums over the labeled draws from one pool, for one model."""

    answered: int  # labeled draws
    losses: float  # Σ v·l
    weights: float  # Σ v
    squares: float  # Σ v² with finite-population correction


class Risk(NamedTuple):
    """A mean of losses that are 0 or 1."""

    mean: float
    draws: int
    effective: float  # effective number of uniform draws (Kish, Survey Sampling, 1965, section 8.2)

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval. The normal interval is too narrow if no draw of large weight happens to be wrong."""
        return score_interval(self.mean, self.effective)


def weights(probabilities: Array, pool: int) -> Array:
    """Weight of each draw, 1 on average: (M,) → (M,).

    probabilities: of each draw given the earlier ones, in order, from `pool` texts without replacement, M ≤ pool. If
    draws are uniform, or the whole pool is drawn, all weights are 1.
    """
    drawn = len(probabilities)
    m = np.arange(1, drawn + 1)
    if drawn == pool:
        return np.ones(drawn)
    return np.asarray(1.0 + (pool - drawn) / (pool - m) * (1.0 / ((pool - m + 1) * probabilities) - 1.0))


def draws(losses: Array, probabilities: Array, pool: int) -> Draws:
    """Sum up draws from a pool for a model that was not trained on these texts.

    losses: (M,) 0 or 1, in the order of the draws; NaN for a text that was drawn but not labeled: it keeps its place
    among the draws and adds no loss.
    """
    counts, answered = weights(probabilities, pool), ~np.isnan(losses)
    counts, losses = counts[answered], losses[answered]
    left = 1.0 - len(counts) / pool  # a pool labeled completely has no sampling error
    return Draws(len(counts), float(counts @ losses), float(counts.sum()), float(left * (counts**2).sum()))


def risk(parts: Sequence[Draws]) -> Risk | None:
    """Mean loss of the models over all these draws; None for fewer than two labeled draws.

    Self-normalized: weighted losses are divided by the sum of weights, not by the number of draws. Nearly unbiased,
    within [0, 1], and of lower variance.
    """
    answered, losses, total, squares = (sum(each) for each in zip(*parts, strict=True)) if parts else (0, 0, 0, 0)
    if answered < 2 or total <= 0:
        return None
    return Risk(losses / total, answered, total**2 / squares if squares else float("inf"))

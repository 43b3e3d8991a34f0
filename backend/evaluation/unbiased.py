"""A model's risk from texts that were chosen to be hard: each counts by how unlikely it was to be chosen.

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
    """What some draws from one pool tell of one model, in sums over those that were answered."""

    answered: int
    losses: float  # Σ v·l
    weights: float  # Σ v
    squares: float  # Σ v², less the share that no chance is left in


class Risk(NamedTuple):
    """A mean of losses that are 0 or 1."""

    mean: float
    draws: int
    effective: float  # as many uniform draws tell as much (Kish, Survey Sampling, 1965, section 8.2)

    @property
    def interval(self) -> tuple[float, float]:
        """Of 95 %: Wilson's. The normal one is too narrow where no draw of large weight happened to be wrong."""
        return score_interval(self.mean, self.effective)


def weights(probabilities: Array, pool: int) -> Array:
    """How much each draw counts, 1 on average: (M,) → (M,).

    probabilities: of each draw given those before, in their order, from `pool` texts without replacement, M ≤ pool.
    Drawn uniformly, or all of the pool, each counts 1.
    """
    drawn = len(probabilities)
    m = np.arange(1, drawn + 1)
    if drawn == pool:
        return np.ones(drawn)
    return np.asarray(1.0 + (pool - drawn) / (pool - m) * (1.0 / ((pool - m + 1) * probabilities) - 1.0))


def draws(losses: Array, probabilities: Array, pool: int) -> Draws:
    """Sum up draws from a pool for a model that did not learn from these texts.

    losses: (M,) 0 or 1, in the order of the draws; NaN for a text that was drawn and not answered, which tells nothing
    but was drawn all the same.
    """
    counts, answered = weights(probabilities, pool), ~np.isnan(losses)
    counts, losses = counts[answered], losses[answered]
    left = 1.0 - len(counts) / pool  # of a pool that was drawn whole nothing is unknown
    return Draws(len(counts), float(counts @ losses), float(counts.sum()), float(left * (counts**2).sum()))


def risk(parts: Sequence[Draws]) -> Risk | None:
    """The mean loss of the models behind all these draws; None for fewer than two answers.

    The sum of weighted losses over the sum of weights, not over the number of draws: hardly biased, never outside
    [0, 1], and of less variance.
    """
    answered, losses, total, squares = (sum(each) for each in zip(*parts, strict=True)) if parts else (0, 0, 0, 0)
    if answered < 2 or total <= 0:
        return None
    return Risk(losses / total, answered, total**2 / squares if squares else float("inf"))

"""Uncertainty sampling by the learner's own measure.

For structured labels (spans, answers, pairs) the learner aggregates uncertainty per text: Settles & Craven, An
Analysis of Active Learning Strategies for Sequence Labeling Tasks (EMNLP 2008), section 3.1.
"""

from __future__ import annotations

import numpy as np

from strategies.base import Array
from strategies.ranking import Ranking


def uncertainty(values: Array) -> Array:
    """The learner's uncertainties: (N,) → (N,) float64."""
    return np.asarray(values, dtype=np.float64)


def create() -> Ranking:
    """The strategy `uncertainty`."""
    return Ranking("uncertainty", uncertainty, "uncertainty")

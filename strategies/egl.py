"""Expected gradient length (EGL): select texts whose label would change the model most.

Settles, Craven & Ray, Multiple-Instance Active Learning (NIPS 2007), section 4; for text: Zhang, Lease & Wallace,
Active Discriminative Text Representation Learning (AAAI 2017). The learner computes the lengths, at the predicted label
or as an expectation over labels (its option `egl_label`).
"""

from __future__ import annotations

import numpy as np

from strategies.base import Array
from strategies.ranking import Ranking


def gradient_length(lengths: Array) -> Array:
    """L2 norms from the learner: (N,) → (N,) float64."""
    return np.asarray(lengths, dtype=np.float64)


def create() -> Ranking:
    """The strategy `egl`."""
    return Ranking("egl", gradient_length, "gradient_lengths")

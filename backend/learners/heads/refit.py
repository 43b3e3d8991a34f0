"""Update a trained head by new labels, without training the adapter again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from numpy.typing import NDArray

from backend.learners.heads.class_names import Frame
from backend.learners.heads.linear import prior_variance
from backend.learners.heads.map_head import Fixed, fit_map, set_weights
from backend.learners.kinds.base import TargetHead

Array = NDArray[Any]

_OF_BIASES = 0.1  # prior variance: few labels of few classes must not make the others unlikely


def refit(head: TargetHead, unlabeled: Array, labeled: Array, values: Sequence[Any]) -> None:
    """Set the head's weights to the most probable ones, given labels that it was not trained on.

    The prior is a Gaussian around its present weights. labeled: the adapter's features of the labeled texts, (M, D),
    with their values; unlabeled: those of texts like the ones to predict, (N, D), N ≥ 1.
    """
    frame = Frame.of(unlabeled)
    mean, bias_mean = frame.inside(head.linear.weight.detach(), head.linear.bias.detach())
    variance = torch.full(mean.shape, prior_variance(len(mean)))
    given = [(row, value, 1) for row, value in enumerate(values)]
    fit_map(head, (mean, variance), Fixed.of(torch.from_numpy(frame(labeled))), given, bias_mean, _OF_BIASES)
    set_weights(head, *frame.outside(head.linear.weight.detach(), head.linear.bias.detach()))

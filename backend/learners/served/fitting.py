"""MAP estimation of heads on a served model's answers. The prior mean reproduces the model's own probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from backend.learners.committee import HEADS
from backend.learners.heads import linear as linear_heads
from backend.learners.heads.map_head import Prior, fit_map, set_weights
from backend.learners.kinds import head_of
from backend.learners.kinds.base import TargetHead
from backend.learners.served.model import Answered
from backend.learners.served.prompts import Prompt

_OF_ANSWERS = 0.25  # prior variance of the weights on answers, whose prior means are 1, 0.5, −1 or 0
_OF_MEMBERS = 0.5  # spread of the members' prior means, in prior standard deviations

Given = Sequence[tuple[int, Any]]  # (row of the text in the reading, label)


def prior_of(head: TargetHead, prompts: Sequence[Prompt], dimensions: int) -> Prior:
    """Prior over a head's weights. With the mean as weights, the head returns the model's own probabilities.

    multilabel: each label against "none of these". pairwise: mean of the log-odds over both answer orders.
    """
    mean = torch.zeros(head.width(head.target), dimensions)
    variance = torch.full_like(mean, linear_heads.prior_variance(len(head.target.classes)))
    start = 0
    for prompt in prompts:
        variance[:, start : start + prompt.width] = _OF_ANSWERS
        if prompt.target == head.target:
            if prompt.target.kind == "pairwise":
                mean[:, start : start + prompt.width] = 0.5
            else:
                classes = torch.arange(len(mean))
                mean[classes, start + classes] = 1.0
            if prompt.target.kind == "multilabel":
                mean[:, start + prompt.width - 1] = -1.0
        start += prompt.width
    return mean, variance


def fit(
    head: TargetHead, prior: Prior, reading: Answered, given: Given, times: NDArray[np.int64] | None = None
) -> None:
    """Fit the MAP weights by L-BFGS. times: weight of each example.

    Classes without examples keep the prior mean: comparisons between the other classes carry no information on them.
    """
    counts = np.ones(len(given), np.int64) if times is None else times
    used = [(*each, count) for each, count in zip(given, counts.tolist(), strict=True) if count]
    set_weights(head, prior[0], torch.zeros(len(prior[0])))
    if head.target.kind == "classification":
        classes = [row for row, name in enumerate(head.target.classes) if any(name == value for _, value, _ in used)]
        if len(classes) < len(head.target.classes):
            if len(classes) > 1:
                few = replace(head.target, classes=tuple(head.target.classes[row] for row in classes))
                part = head_of(few, prior[0].shape[1])
                fit_map(part, (prior[0][classes], prior[1][classes]), reading, used)
                with torch.no_grad():
                    head.linear.weight[classes] = part.linear.weight
                    head.linear.bias[classes] = part.linear.bias
            return
    if used:
        fit_map(head, prior, reading, used)


def fit_members(
    head: TargetHead, prior: Prior, reading: Answered, given: Given, members: int, seed: int, folder: Path
) -> None:
    """Fit heads to bootstrap samples, each with its own random prior mean, as in `heads.fit_committee`."""
    rng = np.random.default_rng(seed)
    samples = linear_heads.bootstrap(len(given), members, rng) if given else np.zeros((members, 0), np.int64)
    weights, biases = [], []
    for sample in samples:
        own = head_of(head.target, prior[0].shape[1])
        noise = torch.from_numpy(rng.standard_normal(tuple(prior[0].shape), dtype=np.float32))
        fit(own, (prior[0] + _OF_MEMBERS * prior[1].sqrt() * noise, prior[1]), reading, given, sample)
        weights.append(own.linear.weight.detach().clone())
        biases.append(own.linear.bias.detach().clone())
    save_file({"weights": torch.stack(weights), "biases": torch.stack(biases)}, folder / HEADS)

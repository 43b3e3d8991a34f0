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
from backend.learners.served.model import Answered, features_of
from backend.learners.served.prompts import Prompt, middle_of

_OF_ANSWERS = 0.25  # prior variance of the weights on answers, whose prior means are 1, 0.5, −1 or 0
_NOISE = 0.3  # share of the variance of numbers that no text explains
_LEAST = 0.05  # variance of numbers, in units of half their range, at least
_AS_IF = 5.0  # labels as which the model's own variance counts
_OF_MEMBERS = 0.5  # spread of the members' prior means, in prior standard deviations

Given = Sequence[tuple[int, Any]]  # (row of the text in the reading, label)


def prior_of(head: TargetHead, prompts: Sequence[Prompt], dimensions: int) -> Prior:
    """Prior over a head's weights. With the mean as weights, the head returns the model's own probabilities.

    multilabel: each label against "none of these". pairwise: mean of the log-odds over both answer orders. regression:
    the number, and the logarithm of its variance, in units of half the range.
    """
    mean = torch.zeros(head.width(head.target), dimensions)
    variance = torch.full_like(mean, linear_heads.prior_variance(max(1, len(head.target.classes))))
    start = 0
    for prompt in features_of(prompts):
        variance[:, start : start + prompt.width] = _OF_ANSWERS
        if prompt.target == head.target:
            if prompt.target.kind == "pairwise":
                mean[:, start : start + prompt.width] = 0.5
            elif prompt.target.kind == "regression":
                mean[0, start] = mean[1, start + 1] = 1.0
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
    if head.target.kind == "regression":
        _fit_number(head, prior, reading, used)
        return
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


def _fit_number(head: TargetHead, prior: Prior, reading: Answered, used: Sequence[tuple[int, Any, int]]) -> None:
    """As `fit`: Bayesian linear regression of the number, and a factor for the variance of the model's answers.

    The unit is half the range, from its middle.
    """
    middle, half = middle_of(head.target)
    head.state = {"mean": middle, "sd": half}
    mean, bias = prior[0].clone(), torch.zeros(2)
    if used:
        rows, values, counts = (torch.tensor(each) for each in zip(*used, strict=True))
        x = torch.nn.functional.pad(reading.vectors[rows].double(), (0, 1), value=1.0)  # the bias comes last
        wanted, times = (values.double() - middle) / half, counts.double()
        start = torch.cat([mean[0], bias[:1]]).double()
        precision = 1 / torch.cat([prior[1][0], torch.ones(1)]).double()
        noise = _NOISE * float(wanted.var(correction=0).clamp(min=_LEAST))
        left = x.T @ (x * times[:, None]) / noise + torch.diag(precision)
        found = start + torch.linalg.solve(left, x.T @ (times * (wanted - x @ start)) / noise)
        mean[0], bias[0] = found[:-1].float(), found[-1].float()
        ratios = (wanted - x @ found).square() / (x[:, :-1] @ mean[1].double()).exp()
        bias[1] = torch.log((_AS_IF + (times * ratios).sum()) / (_AS_IF + times.sum())).float()
    set_weights(head, mean, bias)


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
        weight, bias = own.linear.weight.detach().clone(), own.linear.bias.detach().clone()
        if head.target.kind == "regression":  # in the unit of the labels
            middle, half = middle_of(head.target)
            weight, bias = weight[:1] * half, bias[:1] * half + middle
        weights.append(weight)
        biases.append(bias)
    save_file({"weights": torch.stack(weights), "biases": torch.stack(biases)}, folder / HEADS)

"""MAP estimation of a head on fixed vectors, with a Gaussian prior over its weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from backend.errors import ModelError
from backend.learners.kinds.base import Reading, TargetHead
from backend.learners.models.batching import Batch

NO_BATCH = Batch(np.empty(0, np.int64), torch.empty(0, 0), torch.empty(0, 0))
Prior = tuple[torch.Tensor, torch.Tensor]  # mean and variance of the weights: (C, D) each


@dataclass(frozen=True, kw_only=True)
class Fixed(Reading):
    """Vectors of texts that were computed before."""

    vectors: torch.Tensor  # (B, D)

    @classmethod
    def of(cls, vectors: torch.Tensor) -> Fixed:
        """Vectors whose texts are not needed."""
        return cls(None, NO_BATCH, (), 0, vectors=vectors)  # type: ignore[arg-type] # no model is needed

    @cached_property
    def pooled(self) -> torch.Tensor:
        """One vector per text: (B, D)."""
        return self.vectors


def set_weights(head: TargetHead, weight: torch.Tensor, bias: torch.Tensor) -> None:
    """Copy weights, (C, D), and biases, (C,), into the head's layer."""
    with torch.no_grad():
        head.linear.weight.copy_(weight)
        head.linear.bias.copy_(bias)


def fit_map(
    head: TargetHead, prior: Prior, reading: Reading, given: Sequence[tuple[int, Any, int]],
    bias_mean: torch.Tensor | float = 0.0, bias_variance: float = 1.0,
) -> None:  # fmt: skip
    """Fit the weights by L-BFGS; the head's loss is the negative log-likelihood.

    given: (row of the text in the reading, its value, how often it counts). bias_mean: of each class, (C,), or of all.
    Raises `ModelError` if the result is not
    finite.
    """
    rows, wanted, counts = ([each[place] for each in given] for place in range(3))
    mean, variance = prior
    bias_mean = torch.as_tensor(bias_mean).expand(len(mean))
    set_weights(head, mean, bias_mean)
    weight, bias, times = head.linear.weight, head.linear.bias, torch.tensor(counts)
    head.prepare((), wanted, reading.base)  # heads of these vectors weigh by values alone
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=200, tolerance_grad=1e-4, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad(set_to_none=True)
        penalty = ((weight - mean).square() / variance).sum() + (bias - bias_mean).square().sum() / bias_variance
        total = (head.losses(reading, rows, wanted) * times).sum() + penalty / 2
        torch.autograd.backward(total)
        return torch.as_tensor(total)

    found = optimizer.step(loss)  # type: ignore[no-untyped-call]
    if not torch.isfinite(torch.as_tensor(found)):
        raise ModelError(f"the head of '{head.target.name}' could not be fitted; start a round again")

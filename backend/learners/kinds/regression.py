"""One number per text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from backend.learners.base import UncertaintyOptions
from backend.learners.kinds.base import Reading, TargetHead
from backend.learners.models.base_model import BaseModel
from backend.targets import Target

_OUTLIER = 10.0  # standard deviations of the other labels


class RegressionHead(TargetHead):
    """Least squares on the standardised number. Outputs: `value` (B,), clamped to the target's range."""

    keeps = ("value",)
    asks = frozenset({"features", "uncertainty", "predictions"})

    @staticmethod
    def width(target: Target) -> int:
        """Two: the mean and the logarithm of the variance."""
        return 2

    def prepare(self, texts: Sequence[str], values: Sequence[Any], base: BaseModel) -> None:
        """Compute mean and standard deviation of the labels, and bounds beyond which a label is an outlier."""
        found = torch.tensor(values, dtype=torch.float64).clamp(*_usual(values))
        self.state = {"mean": float(found.mean()), "sd": float(found.std(correction=0)) or 1.0}
        self._usual = _usual(values)

    def losses(self, reading: Reading, rows: Sequence[int], values: Sequence[Any]) -> torch.Tensor:
        """Squared error of the mean, plus 0.1 × Gaussian negative log-likelihood of the variance, mean detached.

        Without the separation, a large predicted variance would slow learning of the mean (Seitzer et al., ICLR 2022).
        """
        wanted = (torch.tensor(values, dtype=torch.float64).clamp(*self._usual) - self.state["mean"]) / self.state["sd"]
        mean, log_variance = self.linear(reading.pooled[list(rows)]).float().T
        error = (mean - wanted.float().to(mean.device)).square()
        return torch.as_tensor(error + 0.1 * (log_variance + error.detach() * torch.exp(-log_variance)))

    def outputs(self, reading: Reading) -> dict[str, torch.Tensor]:
        """`value`."""
        low = -math.inf if self.target.low is None else self.target.low
        high = math.inf if self.target.high is None else self.target.high
        return {"value": self.opinion(reading.pooled).clamp(low, high)}

    def uncertainty(self, reading: Reading, options: UncertaintyOptions) -> torch.Tensor:
        """Predicted variance of the standardised label."""
        return torch.exp(self.linear(reading.pooled)[:, 1].float())

    def opinion(self, pooled: torch.Tensor) -> torch.Tensor:
        """Predicted mean in the labels' unit: (B,)."""
        return torch.as_tensor(self.linear(pooled)[:, 0].float() * self.state["sd"] + self.state["mean"])

    def meanings(self) -> Sequence[Any]:
        """Mean and logarithm of the variance."""
        return ("mean", "log_variance")


def _usual(values: Sequence[float]) -> tuple[float, float]:
    """Bounds that leave out numbers out of all proportion: one of them would decide mean and standard deviation alone.

    The bounds are 10 standard deviations beyond the central 90 % of the labels.
    """
    ordered = np.sort(np.asarray(values, np.float64))
    inner = ordered[len(ordered) // 20 + 1 : -(len(ordered) // 20) - 1]
    beyond = _OUTLIER * float(inner.std()) if len(inner) > 2 else 0.0
    return (float(inner[0]) - beyond, float(inner[-1]) + beyond) if beyond else (-math.inf, math.inf)

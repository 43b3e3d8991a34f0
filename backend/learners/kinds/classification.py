"""One class per text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from backend.learners.base import UncertaintyOptions
from backend.learners.heads.linear import softmax
from backend.learners.kinds.base import Reading, TargetHead, hot, information
from backend.learners.models.base_model import BaseModel
from backend.targets import Target


class ClassificationHead(TargetHead):
    """Softmax over the classes. Outputs: `probs` (B, C), rows sum to 1.

    The loss weighs classes by 1/√count, normalised to mean 1 over the examples: enough to learn rare classes, while
    1/count would make the model predict them too often.
    """

    asks = frozenset({"features", "uncertainty", "probs", "committee_probs", "gradient_lengths"})

    @staticmethod
    def width(target: Target) -> int:
        """Number of classes."""
        return len(target.classes)

    def prepare(self, texts: Sequence[str], values: Sequence[Any], base: BaseModel) -> None:
        """Compute class weights: ∝ 1/√count, with mean 1 over the examples."""
        counts = hot(self.target, values).sum(dim=0)
        weights = counts.clamp(min=1).rsqrt()
        self._weights = weights * (counts.sum() / (weights * counts).sum())

    def losses(self, reading: Reading, rows: Sequence[int], values: Sequence[Any]) -> torch.Tensor:
        """Weighted cross-entropy; of a soft label −log of its probability, times its information."""
        wanted = hot(self.target, values).to(reading.pooled.device)
        log_probs = torch.log_softmax(self.linear(reading.pooled[list(rows)]).float(), dim=1)
        weights = information(wanted) * (wanted @ self._weights.to(wanted.device))
        return -torch.logsumexp(log_probs + wanted.log(), dim=1) * weights

    def outputs(self, reading: Reading) -> dict[str, torch.Tensor]:
        """`probs`."""
        return {"probs": self.opinion(reading.pooled)}

    def uncertainty(self, reading: Reading, options: UncertaintyOptions) -> torch.Tensor:
        """1 − margin between the two most probable classes, as in the strategy `margin`."""
        first, second = self.opinion(reading.pooled).topk(2, dim=1).values.T
        return torch.as_tensor(1 - (first - second))

    def opinion(self, pooled: torch.Tensor) -> torch.Tensor:
        """Class probabilities: (B, C)."""
        return softmax(self.linear, pooled)

"""One class per text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from backend.learners.base import UncertaintyOptions
from backend.learners.heads.linear import softmax
from backend.learners.kinds.base import Reading, TargetHead
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
        self._rows = {name: row for row, name in enumerate(self.target.classes)}
        counts = torch.bincount(
            torch.tensor([self._rows[value] for value in values]), minlength=len(self.target.classes)
        ).float()
        weights = counts.clamp(min=1).rsqrt()
        self._weights = weights * (counts.sum() / (weights * counts).sum())

    def losses(self, reading: Reading, rows: Sequence[int], values: Sequence[Any]) -> torch.Tensor:
        """Weighted cross-entropy."""
        wanted = torch.tensor([self._rows[value] for value in values], device=reading.pooled.device)
        logits = self.linear(reading.pooled[list(rows)]).float()
        return (
            torch.nn.functional.cross_entropy(logits, wanted, reduction="none")
            * self._weights.to(wanted.device)[wanted]
        )

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

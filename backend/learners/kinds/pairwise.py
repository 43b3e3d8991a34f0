"""Which of two answers is better.

Bradley–Terry model (Biometrika 1952), as in reward models for RLHF (Ouyang et al., NeurIPS 2022, section 3.5).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from backend.learners.base import UncertaintyOptions
from backend.learners.kinds.base import Reading, TargetHead, hot, information
from backend.targets import Target


class PairwiseHead(TargetHead):
    """A reward for each answer, encoded after the context. P(left is better) = σ(reward left − reward right).

    Outputs: `probs` (B, 2), left and right. By construction, exchanging the answers exchanges the probabilities.
    """

    asks = frozenset({"features", "uncertainty", "probs"})

    @staticmethod
    def width(target: Target) -> int:
        """One: the reward."""
        return 1

    def losses(self, reading: Reading, rows: Sequence[int], values: Sequence[Any]) -> torch.Tensor:
        """Cross-entropy of the better answer; of a soft label as in `ClassificationHead`."""
        margins = self._margins(reading)[list(rows)]
        log_probs = torch.nn.functional.logsigmoid(torch.stack([margins, -margins], dim=1))
        wanted = hot(self.target, values).to(margins.device)
        return -torch.logsumexp(log_probs + wanted.log(), dim=1) * information(wanted)

    def outputs(self, reading: Reading) -> dict[str, torch.Tensor]:
        """`probs`."""
        margins = self._margins(reading)
        return {"probs": torch.sigmoid(torch.stack([margins, -margins], dim=1))}

    def uncertainty(self, reading: Reading, options: UncertaintyOptions) -> torch.Tensor:
        """1 − margin between the two probabilities."""
        return 1 - torch.tanh(self._margins(reading).abs() / 2)

    def features(self, reading: Reading) -> torch.Tensor:
        """The difference of the two answers' vectors: (B, D). The margin is linear in it."""
        return reading.sides[0] - reading.sides[1]

    def meanings(self) -> Sequence[Any]:
        """The reward."""
        return ("reward",)

    def _margins(self, reading: Reading) -> torch.Tensor:
        weight: torch.Tensor = self.linear.weight[0]
        return (self.features(reading) @ weight).float()  # the bias cancels: both rewards have it

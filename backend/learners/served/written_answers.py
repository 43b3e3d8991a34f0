"""The head of answers that a served model writes: they are shown as they are, and labels are examples in its prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from backend.learners.base import UncertaintyOptions
from backend.learners.kinds.base import Reading
from backend.learners.kinds.generation import GenerationHead
from backend.learners.served.model import Answered


class WrittenAnswersHead(GenerationHead):
    """No weights. Outputs as of `GenerationHead`."""

    def prepare(self, texts: Sequence[str], values: Sequence[Any], base: Any) -> None:
        """Nothing: the server bounds the answers."""

    def losses(self, reading: Reading, rows: Sequence[int], values: Sequence[Any]) -> torch.Tensor:  # noqa: ARG002 (no weight depends on them)
        """Zero."""
        return torch.zeros(len(rows))

    def outputs(self, reading: Reading) -> dict[str, torch.Tensor]:
        """`answer` and `log_prob`."""
        found = self._answers(reading)
        longest = int((found[:, :-1] > 0).sum(dim=1).max()) if len(found) else 0
        return {"answer": found[:, :longest].int(), "log_prob": found[:, -1]}

    def uncertainty(self, reading: Reading, options: UncertaintyOptions) -> torch.Tensor:  # noqa: ARG002 (the others need weights)
        """The answer's negative log-probability a token (Malinin & Gales, ICLR 2021)."""
        return -self._answers(reading)[:, -1]

    def _answers(self, reading: Reading) -> torch.Tensor:
        assert isinstance(reading, Answered)
        return reading.written[self.target.name]

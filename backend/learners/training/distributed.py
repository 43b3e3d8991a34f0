"""Data parallelism: processes train one adapter, each on its part of a batch, and all take the same step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Team:
    """Rank of this process and number of processes. The default is a single process."""

    rank: int = 0
    size: int = 1

    def mine(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The rows of a batch that this process reads. Empty for some if there are more processes than rows."""
        return rows if self.size == 1 else np.array_split(rows, self.size)[self.rank]

    def add_up(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        """All-reduce: replace each parameter's gradient by the sum over all processes.

        A sum, not a mean: each process's loss is already its share of the whole batch's loss. A parameter without a
        gradient in any process keeps None, so that the optimizer does not update it.
        """
        if self.size == 1:
            return
        there = torch.tensor([float(p.grad is not None) for p in parameters], device=parameters[0].device)
        flat = torch.cat([
            *((torch.zeros_like(p) if p.grad is None else p.grad).flatten().float() for p in parameters), there
        ])  # fmt: skip
        torch.distributed.all_reduce(flat)
        flat, there = flat[: -len(parameters)], flat[-len(parameters) :]
        parts = torch.split(flat, [p.numel() for p in parameters])
        for parameter, part, known in zip(parameters, parts, there.tolist(), strict=True):
            parameter.grad = part.view_as(parameter).to(parameter.dtype) if known else None


ALONE = Team()

"""Several processes that train one adapter together: each reads its part of a batch, and all take the same step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Team:
    """Who this process is of how many. Alone, all of it is its own."""

    rank: int = 0
    size: int = 1

    def mine(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """What this process reads of a batch; nothing where there are more processes than rows."""
        return rows if self.size == 1 else np.array_split(rows, self.size)[self.rank]

    def add_up(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        """Give each parameter the sum of all processes' gradients, in one exchange.

        The sum and not the mean: losses are shares of the whole batch's already. One for which nobody has a gradient
        stays without, so that no optimizer moves it.
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

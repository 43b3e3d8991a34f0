"""A run of a simulation, and the task that it runs on."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]


@dataclass(slots=True)
class Run:
    """Results of one strategy with one seed, round by round; complete after the last round."""

    strategy: str
    seed: int
    curve: list[dict[str, float]] = field(default_factory=list)  # labels, accuracy, macro_f1 after each round
    chosen: list[int] = field(default_factory=list)  # row indices in order of labeling
    by: list[int] = field(default_factory=list)  # index of the member of `auto` that selected each; −1: cold start
    choosing: list[dict[str, Any]] = field(default_factory=list)  # decisions of `auto`, one per round
    seconds_scoring: float = 0.0  # computing the arrays that the strategy requires
    seconds_choosing: float = 0.0  # selecting

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Task:
    """Class index of each training and test text, number of classes, number of rounds, and labels per round."""

    train_targets: Rows
    test_targets: Rows
    classes: int
    rounds: int
    batch: int

"""A run of a simulation, and what it plays on."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]


@dataclass(slots=True)
class Run:
    """How one strategy did with one seed, round by round; complete after the last round."""

    strategy: str
    seed: int
    curve: list[dict[str, float]] = field(default_factory=list)  # labels, accuracy, macro_f1 after each round
    chosen: list[int] = field(default_factory=list)  # rows in the order they were labeled
    by: list[int] = field(default_factory=list)  # which member of `auto` chose each; −1: the cold start
    choosing: list[dict[str, Any]] = field(default_factory=list)  # what `auto` decided, round by round
    seconds_scoring: float = 0.0  # computing what the strategy asks for
    seconds_choosing: float = 0.0  # choosing from it

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Task:
    """What is simulated: the class of each training and test text as a number, and the shape of the rounds."""

    train_targets: Rows
    test_targets: Rows
    classes: int
    rounds: int
    batch: int

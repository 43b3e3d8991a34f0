"""What learners of every kind share: their options, examples and outputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Progress = Callable[[int, int], None]  # done, of so many


def no_progress(done: int, total: int) -> None:
    """Show nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOptions:
    """How an adapter is fine-tuned. `learning_rate=None` takes the default for the size and kind of the base model."""

    epochs: int = 10
    min_steps: int = 100  # a handful of labels needs more than its ten short epochs
    max_steps: int = 600
    batch_size: int = 16
    learning_rate: float | None = None
    lora_r: int = 8
    lora_alpha: int = 16
    lora_dropout: float = 0.05
    max_length: int = 256
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Output:
    """What a model says of N texts: C classes, D hidden dimensions."""

    probs: NDArray[np.float32]  # (N, C), rows sum to 1
    features: NDArray[np.float32] | None = None  # (N, D) last hidden state, pooled

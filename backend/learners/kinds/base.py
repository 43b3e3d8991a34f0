"""What the heads of every kind of target share: a linear layer of our own on what the base model read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch

from backend.errors import ModelError
from backend.learners.base import UncertaintyOptions
from backend.learners.base_model import BaseModel
from backend.learners.batching import Batch, pad
from backend.targets import MARK, Target, sides


@dataclass(frozen=True)
class Reading:
    """What the base model makes of a batch of B texts, L word pieces long; what no head asks for is not computed."""

    base: BaseModel
    batch: Batch
    texts: Sequence[str]  # (B,) as they stand in the batch
    max_length: int
    notes: dict[str, Any] = field(default_factory=dict)  # what a head wants to know again of this batch

    @cached_property
    def _read(self) -> tuple[torch.Tensor, torch.Tensor]:
        return self.base.read(self.batch)

    @property
    def hidden(self) -> torch.Tensor:
        """The last hidden state: (B, L, D)."""
        return self._read[0]

    @property
    def pooled(self) -> torch.Tensor:
        """One vector a text: (B, D)."""
        return self._read[1]

    @cached_property
    def sides(self) -> torch.Tensor:
        """One vector for each of a text's two answers, each read after their context: (2, B, D)."""
        parts = [sides(text) for text in self.texts]
        between = "\n" if self.base.is_decoder else ""  # encoders have a piece of their own for that
        pairs = [(part[0], part[side]) for side in (1, 2) for part in parts]
        ids: list[list[int]] = [[]] * len(pairs)
        for alone in (True, False):
            rows = [row for row, (context, _) in enumerate(pairs) if alone is not bool(context)]
            first = [pairs[row][1] if alone else pairs[row][0] + between for row in rows]
            second = None if alone else [pairs[row][1] for row in rows]
            for row, found in zip(rows, self.base.tokenize(first, self.max_length, second), strict=True):
                ids[row] = found
        pooled = self.base.pooled(pad(self.base.tokenizer, ids, np.arange(len(ids))))
        return pooled.view(2, len(parts), -1)

    @cached_property
    def offsets(self) -> torch.Tensor:
        """First character of each word piece and the one after its last: (B, L, 2); 0, 0 for special ones.

        As spans count them: the marks between blocks do not count.
        """
        found = self.base.offsets(self.texts, self.batch.input_ids.shape[1])
        for row, text in enumerate(self.texts):
            if MARK in text:
                marks = torch.tensor([0, *(each == MARK for each in text)]).cumsum(dim=0)
                found[row] -= marks[found[row]]
        return found


class TargetHead(ABC):
    """A linear layer on the base model's output that learns one target."""

    asks: ClassVar[frozenset[str]] = frozenset({"features", "uncertainty"})  # arrays for strategies it can compute

    keeps: ClassVar[tuple[str, ...]] = ("probs",)  # the names of its outputs

    def __init__(self, target: Target, dimensions: int, state: Mapping[str, Any]) -> None:
        self.target = target
        self.state = dict(state)  # plain values that are kept beside the layer
        self.linear: Any = torch.nn.Identity()
        if width := self.width(target):
            self.linear = torch.nn.Linear(dimensions, width)
            torch.nn.init.zeros_(self.linear.bias)

    @staticmethod
    @abstractmethod
    def width(target: Target) -> int:
        """How many numbers the layer gives; 0 if the kind needs none."""

    def prepare(self, texts: Sequence[str], values: Sequence[Any], base: BaseModel) -> None:  # noqa: B027 (most kinds need nothing)
        """Look at all values before the first step of training."""

    @abstractmethod
    def losses(self, reading: Reading, rows: Sequence[int], values: Sequence[Any]) -> torch.Tensor:
        """The loss of each of those texts of the batch that have a value: (len(rows),)."""

    @abstractmethod
    def outputs(self, reading: Reading) -> dict[str, torch.Tensor]:
        """What is kept of each text, to make predictions of: arrays by name, one text a row."""

    @abstractmethod
    def uncertainty(self, reading: Reading, options: UncertaintyOptions) -> torch.Tensor:
        """How unsure the head is of each text: (B,), higher = less sure."""

    def features(self, reading: Reading) -> torch.Tensor:
        """What its layer reads of each text: (B, D)."""
        return reading.pooled

    def meanings(self) -> Sequence[Any]:
        """What each of its numbers stands for, by which a later head knows them again."""
        return self.target.classes

    def opinion(self, pooled: torch.Tensor) -> torch.Tensor:
        """What it says as a member of a committee: (B, C) or (B,)."""
        raise ModelError(f"'{self.target.name}' ({self.target.kind}) can have no committee; choose another strategy")

    def carry_over(self, former: TargetHead) -> None:
        """Take over what an earlier head of the same target knows, class by class."""
        known = {what: row for row, what in enumerate(former.meanings())}
        with torch.no_grad():
            for row, what in enumerate(self.meanings()):
                if what in known:
                    self.linear.weight[row] = former.linear.weight[known[what]]
                    self.linear.bias[row] = former.linear.bias[known[what]]


def binary_entropy(probs: torch.Tensor) -> torch.Tensor:
    """Entropy of each probability by itself, in nats."""
    return torch.as_tensor(torch.special.entr(probs) + torch.special.entr(1 - probs))

"""Base class of all heads: a linear layer on the base model's output, outside peft."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch

from backend.errors import ModelError
from backend.learners.base import UncertaintyOptions
from backend.learners.models.base_model import BaseModel
from backend.learners.models.batching import Batch, pad
from backend.targets import MARK, Target, sides, without_context


@dataclass(frozen=True)
class Reading:
    """Base model outputs for a batch of B texts, padded to L tokens. Each is computed on first access only."""

    base: BaseModel
    batch: Batch
    texts: Sequence[str]  # (B,) in batch order
    max_length: int
    notes: dict[str, Any] = field(default_factory=dict)  # cache: results that a head reuses for this batch

    @cached_property
    def _read(self) -> tuple[torch.Tensor, torch.Tensor]:
        return self.base.read(self.batch)

    @property
    def hidden(self) -> torch.Tensor:
        """The last hidden state: (B, L, D)."""
        return self._read[0]

    @property
    def pooled(self) -> torch.Tensor:
        """One vector per text: (B, D)."""
        return self._read[1]

    @cached_property
    def sides(self) -> torch.Tensor:
        """One vector for each of a text's two answers, encoded after their context: (2, B, D)."""
        parts = [sides(text) for text in self.texts]
        between = "\n" if self.base.is_decoder else ""  # encoders insert a separator token
        pairs = [(part[0], part[side]) for side in (1, 2) for part in parts]
        ids: list[list[int]] = [[]] * len(pairs)
        for alone in (True, False):
            rows = [row for row, (context, _) in enumerate(pairs) if alone is not bool(context)]
            first = [pairs[row][1] if alone else pairs[row][0] + between for row in rows]
            second = None if alone else [pairs[row][1] for row in rows]
            for row, tokens in zip(rows, self.base.tokenize(first, self.max_length, second), strict=True):
                ids[row] = tokens
        pooled = self.base.pooled(pad(self.base.tokenizer, ids, np.arange(len(ids))))
        return pooled.view(2, len(parts), -1)

    @cached_property
    def offsets(self) -> torch.Tensor:
        """Character range of each token, end exclusive: (B, L, 2); (0, 0) for special tokens.

        As in span values, marks between blocks are not counted. Tokens of a context have (0, 0), too.
        """
        ranges = self.base.offsets(self.texts, self.batch.input_ids.shape[1])
        for row, text in enumerate(self.texts):
            ranges[row, ranges[row, :, 1] > len(without_context(text))] = 0
        for row, text in enumerate(self.texts):
            if MARK in text:
                marks = torch.tensor([0, *(each == MARK for each in text)]).cumsum(dim=0)
                ranges[row] -= marks[ranges[row]]
        return ranges


class TargetHead(ABC):
    """A linear layer on the base model's output for one target."""

    asks: ClassVar[frozenset[str]] = frozenset({"features", "uncertainty"})  # strategy inputs that it can compute

    keeps: ClassVar[tuple[str, ...]] = ("probs",)  # names of its output arrays

    def __init__(self, target: Target, dimensions: int, state: Mapping[str, Any]) -> None:
        self.target = target
        self.state = dict(state)  # plain JSON values, saved with the layer
        self.linear: Any = torch.nn.Identity()
        if width := self.width(target):
            self.linear = torch.nn.Linear(dimensions, width)
            torch.nn.init.zeros_(self.linear.bias)

    @staticmethod
    @abstractmethod
    def width(target: Target) -> int:
        """Output size of the layer; 0 if the kind has no layer of its own."""

    def prepare(self, texts: Sequence[str], values: Sequence[Any], base: BaseModel) -> None:  # noqa: B027 (most kinds need nothing)
        """Compute what depends on all training values, such as class weights. Called before training."""

    @abstractmethod
    def losses(self, reading: Reading, rows: Sequence[int], values: Sequence[Any]) -> torch.Tensor:
        """Loss of each labeled text: (len(rows),). rows: positions in the batch; values: their labels."""

    @abstractmethod
    def outputs(self, reading: Reading) -> dict[str, torch.Tensor]:
        """Output arrays by name, one row per text, from which predictions are made."""

    @abstractmethod
    def uncertainty(self, reading: Reading, options: UncertaintyOptions) -> torch.Tensor:
        """Uncertainty of each text: (B,), higher = less certain."""

    def features(self, reading: Reading) -> torch.Tensor:
        """Input of the linear layer for each text: (B, D)."""
        return reading.pooled

    def meanings(self) -> Sequence[Any]:
        """Names of the output units, used to copy weights on a warm start."""
        return self.target.classes

    def opinion(self, pooled: torch.Tensor) -> torch.Tensor:
        """Prediction as a committee member: (B, C), or (B,) for regression."""
        raise ModelError(f"'{self.target.name}' ({self.target.kind}) supports no committee; choose another strategy")

    def carry_over(self, former: TargetHead) -> None:
        """Copy the weights of output units that an earlier head of the same target has, too."""
        known = {name: row for row, name in enumerate(former.meanings())}
        with torch.no_grad():
            for row, name in enumerate(self.meanings()):
                if name in known:
                    self.linear.weight[row] = former.linear.weight[known[name]]
                    self.linear.bias[row] = former.linear.bias[known[name]]


def hot(target: Target, values: Sequence[Any]) -> torch.Tensor:
    """Labels as the probability of each class: (B, C). values: each a class, several, or a soft label."""
    columns = {name: column for column, name in enumerate(target.classes)}
    found = torch.zeros(len(values), len(columns))
    rows: list[int] = []
    places: list[int] = []
    probs: list[float] = []
    for row, value in enumerate(values):
        of_value = (
            value if isinstance(value, Mapping) else dict.fromkeys([value] if isinstance(value, str) else value, 1.0)
        )
        rows += [row] * len(of_value)
        places += [columns[name] for name in of_value]
        probs += of_value.values()
    found[rows, places] = torch.tensor(probs)
    return found


def information(wanted: torch.Tensor) -> torch.Tensor:
    """Information in each label, from 0 to 1, (B,): 1 − its entropy / log C. 1 for a person's label."""
    return torch.as_tensor(1 - torch.special.entr(wanted).sum(dim=1) / math.log(wanted.shape[1]))


def binary_entropy(probs: torch.Tensor) -> torch.Tensor:
    """Elementwise binary entropy, in nats."""
    return torch.as_tensor(torch.special.entr(probs) + torch.special.entr(1 - probs))

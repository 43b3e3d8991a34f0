"""Query by committee: several predictions per text, from members that share one base model.

Members (Settles' survey, 2009, section 3.2) differ by their training examples (query by bagging, Abe & Mamitsuka,
ICML 1998), by dropout (Gal, Islam & Ghahramani, ICML 2017), by separately trained adapters, or by their view of the
text (Blum & Mitchell, COLT 1998).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch

from backend.errors import ModelError
from backend.learners.base import CommitteeOptions
from backend.learners.heads.linear import Heads
from backend.learners.kinds.base import TargetHead
from backend.learners.models.base_model import BaseModel
from backend.learners.models.batching import Batch
from backend.learners.saved import read_heads

HEADS = "committee.safetensors"


class Committee(Protocol):
    """The members. The caller holds the base model's lock and has activated their adapter."""

    @property
    def folds(self) -> bool:
        """Whether the members work with the adapter merged into the base model's weights."""

    def opinions(self, batch: Batch, pooled: torch.Tensor) -> torch.Tensor:
        """Predictions: (B, S, C), rows sum to 1, or (B, S) for regression. pooled: (B, D), the adapter's vectors."""


@dataclass(frozen=True, slots=True)
class BootstrapHeads:
    """Heads on the adapter's features: one matrix product for all members."""

    heads: Heads
    of_numbers: bool
    folds: bool = True

    def opinions(self, batch: Batch, pooled: torch.Tensor) -> torch.Tensor:  # noqa: ARG002 (the protocol's)
        """Prediction of each head."""
        return self.heads.values(pooled) if self.of_numbers else self.heads.probs(pooled)


@dataclass(frozen=True, slots=True)
class AdapterMembers:
    """The adapter itself and separately trained ones: one forward pass each."""

    base: BaseModel
    head: TargetHead
    others: Sequence[tuple[str, TargetHead]]  # name in memory, head
    folds: bool = False

    def opinions(self, batch: Batch, pooled: torch.Tensor) -> torch.Tensor:
        """Prediction of each adapter."""
        members = [self.head.opinion(pooled)]
        for name, head in self.others:
            self.base.adapters.activate(name)
            members.append(head.opinion(self.base.pooled(batch)))
        return torch.stack(members, dim=1)


@dataclass(frozen=True, slots=True)
class DropoutPasses:
    """Several forward passes of the adapter with dropout on."""

    base: BaseModel
    head: TargetHead
    times: int
    folds: bool = False

    def opinions(self, batch: Batch, pooled: torch.Tensor) -> torch.Tensor:  # noqa: ARG002 (the protocol's)
        """Prediction of each pass. Equal batches get equal dropout masks."""
        with torch.random.fork_rng(), self.base.adapters.dropout():
            torch.manual_seed(int(batch.input_ids.sum()))
            passes = [self.head.opinion(self.base.pooled(batch)) for _ in range(self.times)]
        if len(batch.rows) > 1 and torch.equal(passes[0], passes[1]):
            raise ModelError(
                "committee 'dropout' needs dropout, which this base model does not have; set lora_dropout above 0 or "
                "choose committee bootstrap"
            )
        return torch.stack(passes, dim=1)


@dataclass(frozen=True, slots=True)
class Views:
    """Two members: a head on the base model's frozen embeddings, and the adapter."""

    base: BaseModel
    frozen: Heads
    head: TargetHead
    folds: bool = False

    def opinions(self, batch: Batch, pooled: torch.Tensor) -> torch.Tensor:
        """Predictions of both views, the frozen one first."""
        with self.base.adapters.disabled():
            frozen = self.frozen.probs(self.base.pooled(batch))
        return torch.cat([frozen, self.head.opinion(pooled)[:, None]], dim=1)


@contextmanager
def assembled(
    base: BaseModel, adapter: str, head: TargetHead, folder: Path, options: CommitteeOptions
) -> Iterator[Committee]:
    """The committee trained with `adapter` into `folder`, loaded for the length of the block."""
    if options.kind == "bootstrap":
        yield BootstrapHeads(Heads.load(folder / HEADS).to(base.device), head.target.kind == "regression")
    elif options.kind == "views":
        yield Views(base, Heads.load(folder / HEADS).to(base.device), head)
    elif options.kind == "dropout":
        yield DropoutPasses(base, head, options.members)
    else:
        others: list[tuple[str, TargetHead]] = []
        try:
            for number in range(1, options.members):
                name = f"{adapter}-{number}"
                base.adapters.load(name, member_folder(folder, number))
                (its_head,) = read_heads(member_folder(folder, number), base.dimensions, base.device)
                others.append((name, its_head))
            yield AdapterMembers(base, head, others)
        finally:
            for name, _ in others:
                base.adapters.drop(name)


def member_folder(folder: Path, number: int) -> Path:
    """Folder of member `number` ≥ 1 of a `lora` committee; member 0 is the adapter in `folder` itself."""
    return folder / f"member-{number}"

"""Query by committee: several opinions on each text, from members that share one base model.

Members differ as Settles' survey (2009, section 3.2) and its successors have it: by the examples they saw (query by
bagging, Abe & Mamitsuka, ICML 1998), by dropout (Gal, Islam & Ghahramani, ICML 2017), by adapters trained apart, or by
the view they take (Blum & Mitchell, COLT 1998).
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
from backend.learners.base_model import BaseModel
from backend.learners.batching import Batch
from backend.learners.heads import Heads, read_head, softmax

HEADS = "committee.safetensors"


class Committee(Protocol):
    """The members. The caller holds the base model's lock and has activated the adapter they belong to."""

    @property
    def folds(self) -> bool:
        """Whether the members need no adapter besides the one that may be folded into the base model's weights."""

    def probs(self, batch: Batch, pooled: torch.Tensor) -> torch.Tensor:
        """(B, S, C), rows sum to 1. pooled: (B, D), the adapter's vectors of the batch."""


@dataclass(frozen=True, slots=True)
class BootstrapHeads:
    """Heads over the adapter's own features: one matrix product for all members."""

    heads: Heads
    folds: bool = True

    def probs(self, batch: Batch, pooled: torch.Tensor) -> torch.Tensor:  # noqa: ARG002 (the protocol's)
        """Of each head."""
        return self.heads.probs(pooled)


@dataclass(frozen=True, slots=True)
class AdapterMembers:
    """The adapter itself, and others trained apart from it: one forward pass each."""

    base: BaseModel
    head: torch.nn.Linear
    others: Sequence[tuple[str, torch.nn.Linear]]  # name in memory, head
    folds: bool = False

    def probs(self, batch: Batch, pooled: torch.Tensor) -> torch.Tensor:
        """Of each adapter."""
        members = [softmax(self.head, pooled)]
        for name, head in self.others:
            self.base.adapters.activate(name)
            members.append(softmax(head, self.base.pooled(batch)))
        return torch.stack(members, dim=1)


@dataclass(frozen=True, slots=True)
class DropoutPasses:
    """The adapter itself, asked several times with dropout on."""

    base: BaseModel
    head: torch.nn.Linear
    times: int
    folds: bool = False

    def probs(self, batch: Batch, pooled: torch.Tensor) -> torch.Tensor:  # noqa: ARG002 (the protocol's)
        """Of each pass; equal batches get equal dropout."""
        with torch.random.fork_rng(), self.base.adapters.dropout():
            torch.manual_seed(int(batch.input_ids.sum()))
            passes = [softmax(self.head, self.base.pooled(batch)) for _ in range(self.times)]
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
    head: torch.nn.Linear
    folds: bool = False

    def probs(self, batch: Batch, pooled: torch.Tensor) -> torch.Tensor:
        """Of both views, the frozen one first."""
        with self.base.adapters.disabled():
            frozen = self.frozen.probs(self.base.pooled(batch))
        return torch.cat([frozen, softmax(self.head, pooled)[:, None]], dim=1)


@contextmanager
def assembled(
    base: BaseModel, adapter: str, head: torch.nn.Linear, folder: Path, options: CommitteeOptions
) -> Iterator[Committee]:
    """The committee that was trained beside `adapter` into `folder`, in memory for the length of the block."""
    if options.kind == "bootstrap":
        yield BootstrapHeads(Heads.load(folder / HEADS).to(base.device))
    elif options.kind == "views":
        yield Views(base, Heads.load(folder / HEADS).to(base.device), head)
    elif options.kind == "dropout":
        yield DropoutPasses(base, head, options.members)
    else:
        others: list[tuple[str, torch.nn.Linear]] = []
        try:
            for number in range(1, options.members):
                name = f"{adapter}-{number}"
                base.adapters.load(name, member_folder(folder, number))
                others.append((name, read_head(member_folder(folder, number)).to(base.device)))
            yield AdapterMembers(base, head, others)
        finally:
            for name, _ in others:
                base.adapters.drop(name)


def member_folder(folder: Path, number: int) -> Path:
    """Where member `number` of a `lora` committee lies; 0 is the adapter of `folder` itself."""
    return folder / f"member-{number}"

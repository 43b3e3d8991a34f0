"""What learners of every kind share: their options, examples and outputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Progress = Callable[[int, int], None]  # done, of so many


def no_progress(done: int, total: int) -> None:
    """Show nothing."""


CommitteeKind = Literal["bootstrap", "lora", "dropout", "views"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitteeOptions:
    """Who sits in the committee.

    bootstrap: heads on bootstrap samples over the adapter's features. lora: adapters with seeds, samples and
    hyper-parameters of their own on the one base model. dropout: passes with dropout on. views: two members, a head on
    the frozen embeddings and the adapter.
    """

    kind: CommitteeKind
    members: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GradientOptions:
    """Which gradient's length: of the loss at the predicted label or expected over the labels; of which parameters."""

    label: Literal["pseudo", "expected"] = "pseudo"
    parameters: Literal["all", "head"] = "all"
    top_k: int = 5  # labels that an expectation considers, the most probable ones


@dataclass(frozen=True, slots=True, kw_only=True)
class UncertaintyOptions:
    """How learners sum up what they are unsure of in one text."""

    multilabel: Literal["mean", "max"] = "mean"  # of the labels' binary entropies
    spans: Literal["token_entropy", "least_confident_span", "top_k"] = "top_k"
    top_k: int = 5  # word pieces that `top_k` looks at
    generation: Literal["sequence", "token_entropy", "disagreement"] = "sequence"
    samples: int = 4  # answers that `disagreement` draws
    seed: int = 0  # of the draws


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOptions:
    """How an adapter is fine-tuned. `learning_rate=None` takes the default for the size and kind of the base model."""

    epochs: int = 10
    min_steps: int = 100  # a handful of labels needs more than its ten short epochs
    max_steps: int = 600
    batch_size: int = 16
    checkpointing: bool = False  # whether activations are computed again for the gradients in place of being kept
    halvings: int = 0  # how often a batch is halved, its parts read one after the other, where memory ran out
    learning_rate: float | None = None
    lora_r: int = 8
    lora_alpha: int = 16
    lora_dropout: float | None = None  # 0.05; 0 where spans or answers are learned
    max_length: int = 256
    seed: int = 0
    shots: int = 16  # labeled examples that a served model's prompt shows at most
    instructions: str = ""  # what it is told of the task
    committee: CommitteeOptions | None = None  # trained beside the adapter

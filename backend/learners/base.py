"""Options and types shared by all learners."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from backend.targets import Target

Array = NDArray[np.generic]
Arrays = dict[str, Array]
Progress = Callable[[int, int], None]  # called with (done, total)


def no_progress(done: int, total: int) -> None:
    """Report no progress."""


CommitteeKind = Literal["bootstrap", "lora", "dropout", "views"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitteeOptions:
    """How committee members are made.

    bootstrap: heads fitted to bootstrap samples of the adapter's features. lora: adapters on the same base model, each
    with its own seed, bootstrap sample and hyper-parameters. dropout: forward passes with dropout on. views: two
    members, a head on the frozen embeddings and the adapter.
    """

    kind: CommitteeKind
    members: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GradientOptions:
    """Gradient length at the predicted label (pseudo) or expected over labels; of all parameters or only the head's."""

    label: Literal["pseudo", "expected"] = "pseudo"
    parameters: Literal["all", "head"] = "all"
    top_k: int = 5  # number of most probable labels in the expectation


@dataclass(frozen=True, slots=True, kw_only=True)
class UncertaintyOptions:
    """How the uncertainty of one text is aggregated."""

    multilabel: Literal["mean", "max"] = "mean"  # over the labels' binary entropies
    spans: Literal["token_entropy", "least_confident_span", "top_k"] = "top_k"
    top_k: int = 5  # number of least certain tokens in spans=top_k
    generation: Literal["sequence", "token_entropy", "disagreement"] = "sequence"
    samples: int = 4  # answers sampled for generation=disagreement
    seed: int = 0  # for that sampling


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOptions:
    """How an adapter is fine-tuned. `learning_rate=None`: the default for the size and kind of the base model."""

    epochs: int | None = None  # None, here and below: the default for the kinds of labels, see fine_tuning.py
    min_steps: int | None = None  # with few labels, the epochs are too few steps
    max_steps: int = 600
    batch_size: int = 16
    # The first two change memory and speed, not what is learned, and so are not part of `repr`.
    checkpointing: bool = field(default=False, repr=False)  # recompute activations in the backward pass
    batch_shrink: int = field(default=0, repr=False)  # split each batch into 2**batch_shrink micro-batches
    learning_rate: float | None = None
    lora_r: int = 8
    lora_alpha: int = 16
    lora_layers: Literal["upper", "all"] = "upper"  # upper: for classes the upper half, for other kinds all
    lora_dropout: float | None = None  # None: 0.05, or 0 with spans or generation targets
    max_length: int = 256
    seed: int = 0
    shots: int = 16  # served models: most few-shot examples in a prompt
    instructions: str = ""  # served models: task description in the prompt
    class_texts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # by target: each class in words
    committee: CommitteeOptions | None = None  # trained with the adapter


class Base(Protocol):
    """A base model, in this process or behind a server."""

    @property
    def name(self) -> str:
        """The name in the option `base_model`."""


class Learner(Protocol):
    """A trained adapter, ready to predict: weights in this process, or prompts and heads for a served model.

    Arrays have one row per text: the outputs of each target as "target/array", with the names of its kind's file, and
    the arrays that strategies require under the names of `score`.
    """

    is_portable: ClassVar[bool]  # whether other processes can load it from `folder`
    folder: Path
    batch_shrink: int  # how often to halve batches, after memory ran out

    @property
    def base(self) -> Base:
        """The base model."""

    @property
    def targets(self) -> tuple[Target, ...]:
        """The learned targets."""

    def predict(self, texts: Sequence[str]) -> Arrays:
        """The outputs of each text, in order. Thread-safe."""

    def score(
        self, texts: Sequence[str], wanted: Collection[str] = (), *, gradient: GradientOptions = ...,
        uncertainty: UncertaintyOptions = ..., progress: Progress = ...,
    ) -> Arrays:  # fmt: skip
        """The outputs and the wanted arrays of a whole pool."""

    def nll(self, target: Target, texts: Sequence[str], answers: Sequence[str]) -> Array:
        """Negative log-likelihood of written answers: (N,), in nats per token."""

    def unload(self) -> None:
        """Remove the adapter from memory."""

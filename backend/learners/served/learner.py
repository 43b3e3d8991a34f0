"""Inference with prompts and heads on a served model's answers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Self

import torch
from safetensors.torch import load_file

from backend.errors import DamagedError, ModelError
from backend.learners import gradients, saved
from backend.learners.base import (
    Array,
    Arrays,
    CommitteeOptions,
    GradientOptions,
    Progress,
    UncertaintyOptions,
    no_progress,
)
from backend.learners.committee import HEADS
from backend.learners.kinds.base import TargetHead
from backend.learners.learner import outputs_of
from backend.learners.models.memory import ran_out
from backend.learners.served.heads import head_of
from backend.learners.served.model import Answered, Memory, ServedModel
from backend.learners.served.prompts import Prompt
from backend.learners.served.training import read_prompts
from backend.targets import Target


class ServedLearner:
    """A `Learner` of prompts, and of heads on a served model's answers."""

    is_portable: ClassVar[bool] = False  # other processes may have no access to the server

    def __init__(
        self, base: ServedModel, folder: Path, prompts: tuple[Prompt, ...], heads: tuple[TargetHead, ...],
        max_length: int, committee: CommitteeOptions | None, memory: Memory | None,
    ) -> None:  # fmt: skip
        self.base = base
        self.folder = folder
        self.prompts = prompts
        self.heads = heads
        self.max_length = max_length
        self.committee = committee
        self._memory = memory
        self.batch_shrink = 0  # how often to halve embedding batches, after memory ran out

    @property
    def targets(self) -> tuple[Target, ...]:
        """The targets that it predicts."""
        return tuple(head.target for head in self.heads)

    @classmethod
    def load(cls, base: ServedModel, folder: Path, memory: Memory | None = None) -> Self:
        """Load a folder written by `train`. Raises `DamagedError` on failure."""
        try:
            prompts = read_prompts(folder)
            heads = saved.read_heads(folder, base.dimensions(prompts), base.device, head_of)
            max_length, committee = saved.describe(folder)
        except ModelError:
            raise
        except Exception as error:  # any error of json, safetensors or torch
            if ran_out(error):  # the files are sound
                raise
            raise DamagedError(f"adapter {folder.name} cannot be loaded: {type(error).__name__}: {error}") from error
        return cls(base, folder, prompts, heads, max_length, committee, memory)

    def unload(self) -> None:
        """Do nothing: no weights are in memory."""

    def nll(self, target: Target, texts: Sequence[str], answers: Sequence[str]) -> Array:  # noqa: ARG002 (protocol)
        """Raise `ModelError`: servers do not return the likelihood of given answers."""
        raise ModelError(f"'{target.name}': the server does not return the likelihood of a given answer")

    def predict(self, texts: Sequence[str]) -> Arrays:
        """The outputs of each text, in input order."""
        return self.score(texts)

    def score(
        self,
        texts: Sequence[str],
        wanted: Collection[str] = (),
        *,
        gradient: GradientOptions = GradientOptions(),
        uncertainty: UncertaintyOptions = UncertaintyOptions(),
        progress: Progress = no_progress,
    ) -> Arrays:
        """As `Learner.score`. Gradients are those of the head, as the model's are not available."""
        reading = self._read(texts or [""], progress)
        with torch.no_grad():
            found = outputs_of(self.heads, reading, wanted, uncertainty)
            if "gradient_lengths" in wanted:
                of_head = replace(gradient, parameters="head")
                logits = self.heads[0].linear(reading.pooled)
                found["gradient_lengths"] = gradients.lengths(logits, reading.pooled, [], of_head)
            if "committee_probs" in wanted:
                found["committee_probs"] = torch.softmax(self._opinions(reading), dim=-1)
            if "predictions" in wanted:
                found["predictions"] = self._opinions(reading)[:, :, 0]
        return {name: values.numpy()[: len(texts)] for name, values in found.items()}

    def _opinions(self, reading: Answered) -> torch.Tensor:
        """Outputs of the committee members: (B, S, C), logits of the classes; of a number itself, C = 1."""
        if self.committee is None:
            raise ModelError(f"adapter {self.folder.name} was trained without a committee; start a round again")
        members = load_file(self.folder / HEADS)
        return torch.einsum("bd,scd->bsc", reading.pooled, members["weights"]) + members["biases"]

    def _read(self, texts: Sequence[str], progress: Progress) -> Answered:
        return self.base.read(
            self.prompts, texts, self.max_length, self._memory, batch_shrink=self.batch_shrink, progress=progress
        )  # fmt: skip

"""Inference with a LoRA adapter on the base model and a head for each target."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray

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
from backend.learners.committee import Committee, assembled
from backend.learners.kinds.base import Reading, TargetHead
from backend.learners.models import memory
from backend.learners.models.base_model import BaseModel
from backend.learners.models.batching import TOKENS_A_BATCH, Batch, by_length
from backend.targets import Target

_LOGITS = 8  # texts per loss computation in `nll`, as logits cover the whole vocabulary

Tensors = dict[str, torch.Tensor]


class LoraLearner:
    """A `Learner` of weights in this process."""

    is_portable: ClassVar[bool] = True

    def __init__(
        self, base: BaseModel, adapter: str, folder: Path, heads: tuple[TargetHead, ...], max_length: int,
        committee: CommitteeOptions | None,
    ) -> None:  # fmt: skip
        self.base = base
        self.adapter = adapter
        self.heads = heads
        self.max_length = max_length
        self.committee = committee
        self.folder = folder
        self.batch_shrink = 0

    @property
    def targets(self) -> tuple[Target, ...]:
        """The targets that it predicts."""
        return tuple(head.target for head in self.heads)

    @classmethod
    def load(cls, base: BaseModel, adapter: str, folder: Path) -> Self:
        """Load a folder written by `train`. adapter: its name in memory. Raises `DamagedError` on failure."""
        try:
            saved.require_usage(folder, base.usage, is_decoder=base.is_decoder)
            heads = saved.read_heads(folder, base.dimensions, base.device)
            max_length, committee = saved.describe(folder)
            with base.lock:
                base.adapters.load(adapter, folder)
        except Exception as error:  # any error of json, safetensors, torch or peft
            if memory.ran_out(error):  # the files are sound
                raise
            raise DamagedError(f"adapter {folder.name} cannot be loaded: {type(error).__name__}: {error}") from error
        return cls(base, adapter, folder, heads, max_length, committee)

    def unload(self) -> None:
        """Remove the adapter from memory."""
        with self.base.lock:
            self.base.adapters.drop(self.adapter)

    def predict(self, texts: Sequence[str]) -> Arrays:
        """The outputs of each text, in input order. Thread-safe: holds the lock for one batch at a time."""

        def step(batch: Batch, own: Sequence[str]) -> Tensors:
            with self.base.lock, torch.inference_mode():
                self.base.adapters.activate(self.adapter)
                return outputs_of(self.heads, self._reading(batch, own))

        return self._run(texts, step, no_progress)

    def nll(self, target: Target, texts: Sequence[str], answers: Sequence[str]) -> Array:
        """Negative log-likelihood of given answers of a generation target: (N,), in nats per token."""
        (head,) = (head for head in self.heads if head.target.name == target.name)

        def step(batch: Batch, own: Sequence[str]) -> Tensors:
            with self.base.lock, torch.inference_mode():
                self.base.adapters.activate(self.adapter)
                given, reading = [answers[row] for row in batch.rows], self._reading(batch, own)
                return {"nll": torch.cat([
                    head.losses(reading, range(len(own))[some], given[some])
                    for some in (slice(start, start + _LOGITS) for start in range(0, len(own), _LOGITS))
                ])}  # fmt: skip

        return self._run(texts, step, no_progress)["nll"]

    def score(
        self,
        texts: Sequence[str],
        wanted: Collection[str] = (),
        *,
        gradient: GradientOptions = GradientOptions(),
        uncertainty: UncertaintyOptions = UncertaintyOptions(),
        progress: Progress = no_progress,
    ) -> Arrays:
        """The outputs and the wanted arrays for a whole pool, with as few forward passes as possible.

        features: (N, D), the head's input, or the pooled last hidden state with several heads. uncertainty:
        "target/uncertainty" (N,) for each target. With a single target only: committee_probs (N, S, C), or predictions
        (N, S) for regression, from the committee trained with the adapter (`ModelError` without one);
        gradient_lengths (N,), configured by `gradient`. Holds the base model's lock throughout. The adapter is merged
        into the base weights unless a wanted array needs them apart.
        """
        committee: Committee | None = None
        asked = sorted({"committee_probs", "predictions"} & set(wanted))
        with self.base.lock, ExitStack() as stack:
            if asked:
                committee = stack.enter_context(self._assembled())
            through_adapter = "gradient_lengths" in wanted and gradient.parameters == "all"
            if not through_adapter and (committee is None or committee.folds):
                stack.enter_context(self.base.adapters.merged(self.adapter))
            calls: gradients.Calls = []
            if through_adapter:
                calls = stack.enter_context(gradients.watched(self.base.adapters.model, self.adapter))

            def step(batch: Batch, own: Sequence[str]) -> Tensors:
                self.base.adapters.activate(self.adapter)
                calls.clear()
                with torch.set_grad_enabled(through_adapter):
                    reading = self._reading(batch, own)
                    logits = self.heads[0].linear(reading.pooled) if "gradient_lengths" in wanted else None
                with torch.no_grad():
                    found = outputs_of(self.heads, reading, wanted, uncertainty)
                if logits is not None:
                    found["gradient_lengths"] = gradients.lengths(logits, reading.pooled, calls, gradient)
                if committee is not None:
                    calls.clear()
                    with torch.no_grad():
                        found[asked[0]] = committee.opinions(batch, reading.pooled.detach())
                return found

            return self._run(texts, step, progress)

    def _assembled(self) -> AbstractContextManager[Committee]:
        if self.committee is None:
            raise ModelError(f"adapter {self.folder.name} was trained without a committee; start a round again")
        return assembled(self.base, self.adapter, self.heads[0], self.folder, self.committee)

    def _reading(self, batch: Batch, own: Sequence[str]) -> Reading:
        return Reading(self.base, batch, own, self.max_length)

    def _run(self, texts: Sequence[str], step: Callable[[Batch, Sequence[str]], Tensors], progress: Progress) -> Arrays:
        """The arrays of all texts. Without texts, the arrays have no rows."""
        if not texts:
            return {name: values[:0] for name, values in self._run([""], step, no_progress).items()}
        parts: list[tuple[NDArray[np.int64], Arrays]] = []
        done = 0
        for batch in by_length(
            self.base.tokenizer, self.base.tokenize(texts, self.max_length), TOKENS_A_BATCH >> self.batch_shrink
        ):
            found = step(batch, [texts[row] for row in batch.rows])
            parts.append((batch.rows, {name: values.detach().cpu().numpy() for name, values in found.items()}))
            done += len(batch.rows)
            progress(done, len(texts))
        return _assemble(parts, len(texts))


def outputs_of(
    heads: Sequence[TargetHead], reading: Reading, wanted: Collection[str] = (),
    uncertainty: UncertaintyOptions = UncertaintyOptions(),
) -> Tensors:  # fmt: skip
    """Outputs of all heads for a batch and, if wanted, "features" and "target/uncertainty"."""
    found = {f"{head.target.name}/{name}": a for head in heads for name, a in head.outputs(reading).items()}
    if "features" in wanted:
        found["features"] = (heads[0].features(reading) if len(heads) == 1 else reading.pooled).float()
    if "uncertainty" in wanted:
        for head in heads:
            found[f"{head.target.name}/uncertainty"] = head.uncertainty(reading, uncertainty)
    return found


def _assemble(parts: Sequence[tuple[NDArray[np.int64], Arrays]], size: int) -> Arrays:
    """Concatenate the arrays of batches in input order, padded with zeros to the widest batch."""
    found = {}
    for name, first in parts[0][1].items():
        widths = [arrays[name].shape[1:] for _, arrays in parts]
        whole = np.zeros((size, *(max(sizes) for sizes in zip(*widths, strict=True))), dtype=first.dtype)
        for rows, arrays in parts:
            values = arrays[name]
            place: Any = (rows, *(slice(width) for width in values.shape[1:]))
            whole[place] = values
        found[name] = whole
    return found

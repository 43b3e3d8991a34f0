"""A LoRA adapter on the base model with a head of our own for each target, ready to predict."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from backend.errors import DamagedError, ModelError
from backend.learners import gradients, memory, saved
from backend.learners.base import CommitteeOptions, GradientOptions, Progress, UncertaintyOptions, no_progress
from backend.learners.base_model import BaseModel
from backend.learners.batching import TOKENS_A_BATCH, Batch, by_length
from backend.learners.committee import Committee, assembled
from backend.learners.kinds.base import Reading, TargetHead
from backend.targets import Target

_LOGITS = 8  # texts whose logits over a whole vocabulary are held at once

Array = NDArray[np.generic]
Arrays = dict[str, Array]
Tensors = dict[str, torch.Tensor]


class Learner:
    """A trained adapter with its heads.

    What it says of texts comes in arrays with one text a row: the outputs of each target under "target/array", as the
    file of its kind names them, and what strategies ask for under the names of `score`.
    """

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
        self.tokens_a_batch = TOKENS_A_BATCH  # fewer where memory ran out

    @property
    def targets(self) -> tuple[Target, ...]:
        """What it has learned."""
        return tuple(head.target for head in self.heads)

    @classmethod
    def load(cls, base: BaseModel, adapter: str, folder: Path) -> Self:
        """Read a folder that `train` wrote. `adapter` is its name in memory. Raises `DamagedError` if it cannot."""
        try:
            heads = saved.read_heads(folder, base.dimensions, base.device)
            max_length, committee = saved.describe(folder)
            with base.lock:
                base.adapters.load(adapter, folder)
        except Exception as error:  # whatever json, safetensors, torch or peft find wrong with a file
            if memory.ran_out(error):  # the files are sound
                raise
            raise DamagedError(f"adapter {folder.name} cannot be loaded: {type(error).__name__}: {error}") from error
        return cls(base, adapter, folder, heads, max_length, committee)

    def unload(self) -> None:
        """Take the adapter out of memory."""
        with self.base.lock:
            self.base.adapters.drop(self.adapter)

    def predict(self, texts: Sequence[str]) -> Arrays:
        """The outputs of each text, in the order asked. Safe from many threads: one batch at a time."""

        def step(batch: Batch, own: Sequence[str]) -> Tensors:
            with self.base.lock, torch.inference_mode():
                self.base.adapters.activate(self.adapter)
                return look(self.heads, self._reading(batch, own))

        return self._run(texts, step, no_progress)

    def nll(self, target: Target, texts: Sequence[str], answers: Sequence[str]) -> Array:
        """How unlikely the adapter finds given answers, of a target that is written: (N,), in nats a word piece."""
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
        """The outputs and the wanted arrays for a whole pool, from as few passes as they take.

        features: (N, D), what the only head reads, or of several the pooled last hidden state. uncertainty:
        "target/uncertainty" (N,) for each target. Of the only target: committee_probs (N, S, C) or, of numbers,
        predictions (N, S), of the committee that the adapter was trained with, `ModelError` if there was none;
        gradient_lengths (N,), as `gradient` says. Holds the base model throughout; the adapter is folded into its
        weights where nothing needs the two apart.
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
                    found = look(self.heads, reading, wanted, uncertainty)
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
        """The arrays of all texts; of none, arrays without rows."""
        if not texts:
            return {name: values[:0] for name, values in self._run([""], step, no_progress).items()}
        parts: list[tuple[NDArray[np.int64], Arrays]] = []
        done = 0
        for batch in by_length(self.base.tokenizer, self.base.tokenize(texts, self.max_length), self.tokens_a_batch):
            found = step(batch, [texts[row] for row in batch.rows])
            parts.append((batch.rows, {name: values.detach().cpu().numpy() for name, values in found.items()}))
            done += len(batch.rows)
            progress(done, len(texts))
        return _assemble(parts, len(texts))


def look(
    heads: Sequence[TargetHead], reading: Reading, wanted: Collection[str] = (),
    uncertainty: UncertaintyOptions = UncertaintyOptions(),
) -> Tensors:  # fmt: skip
    """What heads say of a batch: their outputs and, if wanted, "features" and each one's "uncertainty"."""
    found = {f"{head.target.name}/{name}": a for head in heads for name, a in head.outputs(reading).items()}
    if "features" in wanted:
        found["features"] = (heads[0].features(reading) if len(heads) == 1 else reading.pooled).float()
    if "uncertainty" in wanted:
        for head in heads:
            found[f"{head.target.name}/uncertainty"] = head.uncertainty(reading, uncertainty)
    return found


def _assemble(parts: Sequence[tuple[NDArray[np.int64], Arrays]], size: int) -> Arrays:
    """Arrays of batches → arrays of all rows; where batches differ in width, the rest is filled with zeros."""
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

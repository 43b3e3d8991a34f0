"""One class a text: a LoRA adapter on the base model and a linear head of our own."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from backend.errors import ModelError
from backend.learners import gradients
from backend.learners.base import CommitteeOptions, GradientOptions, Progress, no_progress
from backend.learners.base_model import BaseModel
from backend.learners.batching import Batch, by_length
from backend.learners.committee import Committee, assembled
from backend.learners.heads import read_head, softmax

Array = NDArray[np.float32]
DESCRIPTION = "learner.json"


class SequenceClassifier:
    """A trained adapter with its head, ready to predict."""

    kind = "sequence_classification"

    def __init__(self, base: BaseModel, adapter: str, folder: Path, head: torch.nn.Linear, description: dict[str, Any]):
        self.base = base
        self.adapter = adapter
        self.head = head.to(base.device)
        self.classes: tuple[str, ...] = tuple(description["classes"])
        self.max_length = int(description["max_length"])
        committee = description.get("committee")
        self.committee = CommitteeOptions(**committee) if committee else None
        self.folder = folder

    @classmethod
    def load(cls, base: BaseModel, adapter: str, folder: Path) -> Self:
        """Read a folder that `train` wrote. `adapter` is its name in memory. Raises `ModelError` if it is damaged."""
        try:
            description = json.loads((folder / DESCRIPTION).read_text("utf-8"))
            head = read_head(folder)
            with base.lock:
                base.adapters.load(adapter, folder)
            return cls(base, adapter, folder, head, description)
        except Exception as error:  # whatever json, safetensors, torch or peft find wrong with a file
            raise ModelError(f"adapter {folder.name} cannot be loaded: {type(error).__name__}: {error}") from error

    def unload(self) -> None:
        """Take the adapter out of memory."""
        with self.base.lock:
            self.base.adapters.drop(self.adapter)

    def predict(self, texts: Sequence[str]) -> Array:
        """Class probabilities of each text, (N, C), in the order asked. Safe from many threads: one batch at a time."""

        def step(batch: Batch) -> dict[str, torch.Tensor]:
            with self.base.lock, torch.inference_mode():
                self.base.adapters.activate(self.adapter)
                return {"probs": softmax(self.head, self.base.pooled(batch))}

        return self._run(texts, step, {"probs": (len(self.classes),)}, no_progress)["probs"]

    def score(
        self,
        texts: Sequence[str],
        wanted: Collection[str] = ("probs",),
        *,
        gradient: GradientOptions = GradientOptions(),
        progress: Progress = no_progress,
    ) -> dict[str, Array]:
        """The wanted arrays for a whole pool, from as few passes as they take. Holds the base model throughout.

        probs: (N, C). features: (N, D), the pooled last hidden state. committee_probs: (N, S, C), of the committee
        that the adapter was trained with; `ModelError` if there was none. gradient_lengths: (N,), as `gradient` says.
        The adapter is folded into the base model's weights where nothing needs the two apart.
        """
        committee: Committee | None = None
        with self.base.lock, ExitStack() as stack:
            if "committee_probs" in wanted:
                committee = stack.enter_context(self._assembled())
            through_adapter = "gradient_lengths" in wanted and gradient.parameters == "all"
            if not through_adapter and (committee is None or committee.folds):
                stack.enter_context(self.base.adapters.merged(self.adapter))
            calls: gradients.Calls = []
            if through_adapter:
                calls = stack.enter_context(gradients.watched(self.base.adapters.model, self.adapter))

            def step(batch: Batch) -> dict[str, torch.Tensor]:
                self.base.adapters.activate(self.adapter)
                calls.clear()
                with torch.set_grad_enabled(through_adapter):
                    pooled = self.base.pooled(batch)
                    logits = self.head(pooled)
                found = {"probs": torch.softmax(logits.detach().float(), dim=-1), "features": pooled.detach().float()}
                if "gradient_lengths" in wanted:
                    found["gradient_lengths"] = gradients.lengths(logits, pooled, calls, gradient)
                if committee is not None:
                    calls.clear()
                    with torch.no_grad():
                        found["committee_probs"] = committee.probs(batch, pooled.detach())
                return {name: found[name] for name in wanted}

            return self._run(texts, step, self._shapes(wanted), progress)

    def _assembled(self) -> AbstractContextManager[Committee]:
        if self.committee is None:
            raise ModelError(f"adapter {self.folder.name} was trained without a committee; start a round again")
        return assembled(self.base, self.adapter, self.head, self.folder, self.committee)

    def _shapes(self, wanted: Collection[str]) -> dict[str, tuple[int, ...]]:
        members = 0 if self.committee is None else self.committee.members
        shapes = {
            "probs": (len(self.classes),),
            "features": (self.base.dimensions,),
            "committee_probs": (members, len(self.classes)),
            "gradient_lengths": (),
        }
        return {name: shapes[name] for name in wanted}

    def _run(
        self,
        texts: Sequence[str],
        step: Callable[[Batch], dict[str, torch.Tensor]],
        shapes: dict[str, tuple[int, ...]],
        progress: Progress,
    ) -> dict[str, Array]:
        out = {name: np.zeros((len(texts), *shape), dtype=np.float32) for name, shape in shapes.items()}
        done = 0
        for batch in by_length(self.base.tokenizer, self.base.tokenize(texts, self.max_length)):
            for name, values in step(batch).items():
                out[name][batch.rows] = values.cpu().numpy()
            done += len(batch.rows)
            progress(done, len(texts))
        return out

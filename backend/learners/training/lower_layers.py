"""The frozen lower layers of a base model, run once per text of a training instead of once per step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.utils.rnn import pad_sequence

from backend.learners.models.batching import Batch

_MOST_BYTES = 2**30  # of kept outputs; a training that would need more runs the layers in every step


def layers_of(model: torch.nn.Module, config: Any) -> torch.nn.ModuleList | None:
    """The model's list of layers; None if it has none or several, as when layers share weights."""
    wanted = getattr(config, "num_hidden_layers", None)
    found = [each for each in model.modules() if isinstance(each, torch.nn.ModuleList) and len(each) == wanted]
    return found[0] if len(found) == 1 else None


class LowerLayers:
    """The output of the first `count` layers for each text: hidden states without padding, (L, D).

    These layers must be frozen and have no adapter. Their dropout is off, as outputs are kept.
    """

    def __init__(self, model: Any, layers: torch.nn.ModuleList, count: int) -> None:
        self._model = model
        self._layers = layers
        self._own = [layers[place] for place in range(count)]
        self._kept: dict[int, torch.Tensor] = {}
        self._hidden = torch.empty(0)

    def names_above(self) -> list[str]:
        """The names of all modules in the layers above."""
        above = {id(each) for layer in self._layers[len(self._own) :] for each in layer.modules()}
        return [name for name, each in self._model.named_modules() if id(each) in above]

    @contextmanager
    def recalled(self, batch: Batch) -> Iterator[None]:
        """Inside the block a forward pass of this batch begins above the lower layers."""
        self._compute(batch)
        self._hidden = pad_sequence([self._kept[row] for row in batch.rows.tolist()], batch_first=True)
        for place in range(len(self._own)):
            self._layers[place] = _Replaced(self)
        try:
            yield
        finally:
            for place, own in enumerate(self._own):
                self._layers[place] = own

    @property
    def hidden(self) -> torch.Tensor:
        """The recalled hidden states of the batch: (B, L, D)."""
        return self._hidden

    def _compute(self, batch: Batch) -> None:
        places = [place for place, row in enumerate(batch.rows.tolist()) if row not in self._kept]
        if not places:
            return
        device = next(self._own[0].parameters()).device
        mask = batch.attention_mask[places]
        with torch.no_grad(), self._stopped_above() as reached:
            self._model.eval()
            try:
                self._model(input_ids=batch.input_ids[places].to(device), attention_mask=mask.to(device))
            except _ReachedError:
                pass
            finally:
                self._model.train()
        for place, hidden, length in zip(places, reached[0], mask.sum(dim=1).tolist(), strict=True):
            self._kept[int(batch.rows[place])] = hidden[: int(length)].clone()

    @contextmanager
    def _stopped_above(self) -> Iterator[list[torch.Tensor]]:
        reached: list[torch.Tensor] = []

        def stop(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            reached.append(args[0] if args else kwargs["hidden_states"])
            raise _ReachedError

        handle = self._layers[len(self._own)].register_forward_pre_hook(stop, with_kwargs=True)
        try:
            yield reached
        finally:
            handle.remove()


def fits(ids: Sequence[list[int]], dimensions: int) -> bool:
    """Whether the outputs for texts with these token ids may be kept."""
    lengths: NDArray[np.int64] = np.array([len(each) for each in ids], np.int64)
    return int(lengths.sum()) * dimensions * 4 <= _MOST_BYTES


class _Replaced(torch.nn.Module):
    """In place of a lower layer: returns the recalled hidden states."""

    _lower: Any  # no submodule

    def __init__(self, lower: LowerLayers) -> None:
        super().__init__()
        self._lower = lower

    def forward(self, *_args: Any, **_kwargs: Any) -> torch.Tensor:
        """The recalled hidden states."""
        hidden: torch.Tensor = self._lower.hidden
        return hidden


class _ReachedError(Exception):
    """The first layer that is not lower was reached."""

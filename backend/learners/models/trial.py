"""What a base model can read, found out by reading: some architectures load and then fail, or return other shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from backend.errors import ModelError
from backend.learners.models import memory
from backend.learners.models.batching import Batch, pad

if TYPE_CHECKING:
    from backend.learners.models.base_model import BaseModel

_LONGEST = 1024  # tokens of the trial; longer inputs take seconds
_UNLIMITED = 1_000_000


def positions(model: torch.nn.Module, config: Any) -> int:
    """The longest input of one forward pass, in tokens.

    Models of RoBERTa's kind count positions from `padding_idx + 1`, so the table of positions is longer than the input
    that it is for.
    """
    size = getattr(config, "max_position_embeddings", None)
    if not isinstance(size, int) or size <= 0:  # relative positions
        return _UNLIMITED
    for name, each in model.named_modules():
        padding, weight = getattr(each, "padding_idx", None), getattr(each, "weight", None)
        if "position" in name and padding is not None and weight is not None and len(weight) == size:
            return size - int(padding) - 1
    return size


def dimensions(base: BaseModel) -> int:
    """D of the hidden states, after reading two texts of different length, and one longer than the model reads at once.

    Raises `ModelError` if the model cannot read them.
    """
    longest = min(base.max_positions + 8, _LONGEST)
    try:
        with torch.inference_mode():
            hidden, vectors = base.read(_batch(base, 4, 7))
            base.read(_batch(base, longest))
        if hidden.shape[:2] != (2, 7) or vectors.shape != (2, hidden.shape[2]) or not torch.isfinite(hidden).all():
            raise ValueError(
                f"its output has the shape {tuple(hidden.shape)} for 2 texts of 7 tokens, or is not finite"
            )
    except Exception as error:  # whatever another architecture may raise
        if memory.ran_out(error):
            raise
        reason = (str(error).splitlines() or [""])[0][:200]
        raise ModelError(
            f"base model '{base.name}' ({getattr(base.config, 'model_type', 'unknown')}) loads but cannot read texts "
            f"({type(error).__name__}: {reason}); choose an encoder such as minilm or multilingual, or a causal decoder"
        ) from None
    return int(hidden.shape[2])


def _batch(base: BaseModel, *lengths: int) -> Batch:
    """Texts of so many tokens."""
    token = next(iter(base.tokenizer("a")["input_ids"]), 0)
    return pad(base.tokenizer, [[token] * length for length in lengths], np.arange(len(lengths)))

"""An adapter merged into its base model: a folder that transformers loads without peft."""

from __future__ import annotations

import shutil
from pathlib import Path

from transformers import GenerationConfig

from backend.errors import ModelError
from backend.learners.models.base_model import BaseModel
from backend.learners.models.loading import FOUR_BITS, is_served
from backend.learners.saved import FILES


def merge(base_model: str, adapter: Path, to: Path) -> None:
    """Write model, tokenizer and heads of an adapter's folder into a new folder.

    Raises `ModelError` for models behind a server, whose weights are not here, and for four-bit weights, to which
    nothing can be added without loss.
    """
    if is_served(base_model) or base_model.endswith(FOUR_BITS):
        raise ModelError(f"an adapter cannot be merged into '{base_model}': its full weights are not here")
    from peft import PeftModel

    base = BaseModel(base_model, device="cpu")
    merged = PeftModel.from_pretrained(base.adapters.bare, str(adapter)).merge_and_unload()
    whole = base.writer if base.is_decoder else merged  # the writer holds the merged layers, and the output layer
    if base.is_decoder:  # ours has no token that ends a text: other programs need the model's own
        whole.generation_config = GenerationConfig.from_model_config(base.config)
    whole.save_pretrained(to, safe_serialization=True)
    base.tokenizer.save_pretrained(to)
    for name in FILES:
        shutil.copy(adapter / name, to / name)

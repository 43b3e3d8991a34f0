"""Base models of the Hugging Face hub: what is downloaded of a repository, at which revision, and how much at most."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import httpx
from huggingface_hub import snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError

from backend.errors import ModelError

log = logging.getLogger(__name__)

# What transformers and sentence-transformers read. No pickles, no code, no weights of other libraries.
_FILES = ["*.json", "*.txt", "*.model", "*.jinja", "model*.safetensors"]
_WEIGHTS, _INDEX = "model.safetensors", "model.safetensors.index.json"


def folder_of(name: str, most_gb: float | None = None) -> str:
    """The folder of a model. name: a folder, `org/name` of the hub, or `org/name@revision` (branch, tag or commit).

    What was downloaded once is used from then on, so that adapters keep the weights that they were trained on. Raises
    `ModelError` if that fails, or if more than `most_gb` GB (10**9 bytes) would be downloaded.
    """
    if Path(name).exists():
        return name
    if (known := downloaded(name)) is not None:
        return known
    try:
        return _download(name, most_gb)
    except (OSError, ValueError, httpx.HTTPError) as error:  # one sentence for all: it reveals not what exists
        log.debug("%s", type(error).__name__)
        raise ModelError(
            f"base model '{name}' is no folder here, and the hub does not provide it ({type(error).__name__}): check "
            "the name, the network, and HF_TOKEN for models that need one; or name a folder, minilm, multilingual or "
            "smollm2"
        ) from None


def downloaded(name: str) -> str | None:
    """The folder of a model that was downloaded completely; None without one. Makes no calls."""
    repository, _, revision = name.partition("@")
    try:
        found = Path(
            snapshot_download(repository, revision=revision or None, allow_patterns=_FILES, local_files_only=True)
        )
    except (LocalEntryNotFoundError, ValueError, OSError):
        return None
    index = found / _INDEX
    needed = {_WEIGHTS} if not index.exists() else set(json.loads(index.read_text("utf-8"))["weight_map"].values())
    return str(found) if all((found / each).exists() for each in {"config.json", *needed}) else None


def _download(name: str, most_gb: float | None) -> str:
    repository, _, revision = name.partition("@")
    planned = snapshot_download(repository, revision=revision or None, allow_patterns=_FILES, dry_run=True)
    assert isinstance(planned, list)
    size = sum(each.file_size or 0 for each in planned if each.will_download) / 1e9
    if most_gb is not None and size > most_gb:
        raise ModelError(
            f"base model '{name}' is a download of {size:.1f} GB, and this server allows {most_gb:g}; its operator can "
            f"raise MAX_BASE_MODEL_GB"
        )
    log.info("downloading base model %s (%.2f GB)", name, size)
    return str(snapshot_download(repository, revision=revision or None, allow_patterns=_FILES))

"""Base models of the Hugging Face hub: what is downloaded of a repository, at which revision, and how much at most."""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path

from huggingface_hub import snapshot_download

from backend.errors import ModelError

log = logging.getLogger(__name__)

# What transformers and sentence-transformers read. No pickles, no code, no weights of other libraries.
_FILES = ["*.json", "*.txt", "*.model", "*.jinja", "model*.safetensors"]
_most_gb = math.inf
_WEIGHTS, _INDEX = "model.safetensors", "model.safetensors.index.json"


def folder_of(name: str) -> str:
    """The folder of a model. name: a folder, `org/name` of the hub, or `org/name@revision` (branch, tag or commit).

    What was downloaded once is used from then on, so that adapters keep the weights that they were trained on. Raises
    `ModelError` if that fails, or if the download is larger than `limit` allows.
    """
    if Path(name).exists():
        return name
    if (known := downloaded(name)) is not None:
        return known
    try:
        return _download(name)
    except ModelError:
        raise
    except Exception as error:  # noqa: BLE001 (the hub's library has used several HTTP libraries)
        # One sentence for all: it reveals not what exists.
        raise ModelError(
            f"base model '{name}' cannot be loaded ({type(error).__name__}): it is no folder here, and the hub does "
            "not provide it; check the name, the network, and HF_TOKEN for models that need one; or name a folder, "
            "minilm, multilingual or smollm2"
        ) from None


def limit(most_gb: float) -> None:
    """Refuse downloads of more than so many GB (10**9 bytes) from now on, in the whole process."""
    global _most_gb
    _most_gb = most_gb


def downloaded(name: str) -> str | None:
    """The folder of a model that was downloaded completely; None without one. Makes no calls.

    The hub's library compares with its list of the files. Without a list, from earlier releases, config and weights
    must be there.
    """
    repository, _, revision = name.partition("@")
    try:
        found = Path(
            snapshot_download(repository, revision=revision or None, allow_patterns=_FILES, local_files_only=True)
        )
    except (ValueError, OSError):
        return None
    index = found / _INDEX
    needed = {_WEIGHTS} if not index.exists() else set(json.loads(index.read_text("utf-8"))["weight_map"].values())
    return str(found) if all((found / each).exists() for each in {"config.json", *needed}) else None


def _download(name: str) -> str:
    repository, _, revision = name.partition("@")
    planned = snapshot_download(repository, revision=revision or None, allow_patterns=_FILES, dry_run=True)
    assert isinstance(planned, list)
    size = sum(each.file_size or 0 for each in planned if each.will_download) / 1e9
    if size > _most_gb:
        raise ModelError(
            f"base model '{name}' is a download of {size:.1f} GB, and this server allows {_most_gb:g}; its operator "
            "can raise MAX_BASE_MODEL_GB"
        )
    log.info("downloading base model %s (%.2f GB)", name, size)
    return str(snapshot_download(repository, revision=revision or None, allow_patterns=_FILES))

"""How a base model is to be used: what is put before each text, and how its tokens become one vector.

Embedding models are trained for one way. sentence-transformers saves files with a model that
name it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from huggingface_hub import try_to_load_from_cache
from transformers.utils.hub import cached_file

Pooling = Literal["mean", "cls", "lasttoken"]

_E5 = re.compile(r"(^|[/_-])e5-(small|base|large)")  # its files name no prefix, its authors do


class Usage(NamedTuple):
    """pooling: the mean over tokens, or the state of the first or of the last one. prefix: put before each text."""

    pooling: Pooling = "mean"
    prefix: str = ""

    @property
    def name(self) -> str:
        """Part of a file name, empty for the default."""
        return "" if self == Usage() else "-" + "-".join(filter(None, (self.pooling, re.sub(r"\W+", "", self.prefix))))


def usage_of(path: str, *, is_decoder: bool) -> Usage:
    """The usage of a model in a folder or on the hub; of one without such files: mean, for decoders the last token."""
    pooling: Pooling = "lasttoken" if is_decoder else "mean"
    for module in _json(path, "modules.json") or []:
        if module["type"].endswith("Pooling"):
            pooling = _pooling(_json(path, f"{module['path']}/config.json") or {}, pooling)
    prompts = _json(path, "config_sentence_transformers.json") or {}
    default = prompts.get("default_prompt_name")
    prefix = (prompts.get("prompts") or {}).get(default, "") if default else ""
    return Usage(pooling, prefix or ("query: " if _E5.search(path.lower()) else ""))


def _pooling(config: dict[str, Any], default: Pooling) -> Pooling:
    for each in get_args(Pooling):
        if (
            config.get(f"pooling_mode_{each}_tokens")
            or config.get(f"pooling_mode_{each}_token")
            or (config.get(f"pooling_mode_{each}") or config.get("pooling_mode") == each)
        ):
            found: Pooling = each
            return found
    return default


def _json(path: str, file: str) -> Any:
    """The content of one of the model's files, None if it has no such file."""
    # The local copy first: without a network each request to the hub takes half a minute.
    known = None if Path(path).is_dir() else try_to_load_from_cache(path, file)
    if known is not None and not isinstance(known, str):  # the hub has no such file
        return None
    found = known or cached_file(
        path, file, _raise_exceptions_for_gated_repo=False, _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )  # fmt: skip
    return None if found is None else json.loads(Path(found).read_text("utf-8"))

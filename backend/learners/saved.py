"""Save and load an adapter's heads next to its weights: a JSON description, and the layers in safetensors."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from backend.learners.base import CommitteeOptions, TrainingOptions
from backend.learners.kinds import head_of
from backend.learners.kinds.base import TargetHead
from backend.learners.models.usage import Usage
from backend.targets import Target

_DESCRIPTION = "learner.json"
_HEADS = "heads.safetensors"
FILES = (_DESCRIPTION, _HEADS)  # beside the adapter's weights


def write(
    folder: Path, base_model: str, heads: Sequence[TargetHead], options: TrainingOptions, usage: Usage = Usage()
) -> None:
    """Write the heads and the settings needed to use them into an adapter's folder."""
    layers = {f"{i}.{name}": v for i, head in enumerate(heads) for name, v in head.linear.state_dict().items()}
    save_file({name: value.detach().cpu().contiguous() for name, value in layers.items()}, folder / _HEADS)
    description = {
        "base_model": base_model,
        "usage": usage,
        "targets": [{**head.target.as_json(), "state": head.state} for head in heads],
        "max_length": options.max_length,
        "committee": asdict(options.committee) if options.committee else None,
    }
    (folder / _DESCRIPTION).write_text(json.dumps(description, ensure_ascii=False, indent=1), "utf-8")


def describe(folder: Path) -> tuple[int, CommitteeOptions | None]:
    """Maximum text length of the adapter, in tokens, and the committee that was trained with it."""
    found = _description(folder)
    return int(found["max_length"]), CommitteeOptions(**found["committee"]) if found["committee"] else None


def usage_of(folder: Path, *, is_decoder: bool) -> Usage:
    """How the base model was used when the adapter was trained."""
    before = Usage("lasttoken" if is_decoder else "mean")  # of earlier releases, which did not write it
    return Usage(*_description(folder).get("usage", before))


def require_usage(folder: Path, usage: Usage, *, is_decoder: bool) -> None:
    """Raise `ValueError` if the adapter was trained on a base model that was used in another way."""
    if (trained := usage_of(folder, is_decoder=is_decoder)) != usage:
        raise ValueError(f"it was trained for another usage of its base model: {trained}, not {usage}")


def read_heads(
    folder: Path, dimensions: int, device: torch.device, make: Callable[..., TargetHead] = head_of
) -> tuple[TargetHead, ...]:
    """Load the heads from an adapter's folder, for D-dimensional vectors, in evaluation mode."""
    layers = load_file(folder / _HEADS)
    heads = []
    for number, values in enumerate(_description(folder)["targets"]):
        state = values.pop("state")
        head = make(Target.from_json(values), dimensions, state)
        own = f"{number}."
        head.linear.load_state_dict({k.removeprefix(own): v for k, v in layers.items() if k.startswith(own)})
        head.linear.to(device).eval()
        heads.append(head)
    return tuple(heads)


def _description(folder: Path) -> Any:
    return json.loads((folder / _DESCRIPTION).read_text("utf-8"))

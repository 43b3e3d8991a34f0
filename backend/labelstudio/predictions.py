"""Class probabilities → predictions in Label Studio's format."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.labelstudio.label_config import TaskSpec


def choice(spec: TaskSpec, classes: Sequence[str], probs: NDArray[np.floating]) -> tuple[list[dict[str, Any]], float]:
    """The likeliest class as a `result` list, and its confidence in [0, 1].

    classes, probs: (C,) what the adapter knows. Classes that the label config no longer has are left out and the rest
    is normalised again; if none is left, the result is empty.
    """
    offered = set(spec.classes)
    kept = [(float(p), name) for p, name in zip(probs, classes, strict=True) if name in offered]
    total = sum(p for p, _ in kept)
    if not kept or total <= 0:
        return [], 0.0
    best, name = max(kept)
    confidence = best / total
    region = {
        "from_name": spec.from_name,
        "to_name": spec.to_name,
        "type": "choices",
        "value": {"choices": [name]},
        "score": confidence,
    }
    return [region], confidence


def adapter_version(project_id: int, adapter: int) -> str:
    """The version that `/predict` answers with."""
    return f"p{project_id}-a{adapter}"


def parse_version(name: str, project_id: int) -> tuple[int, int] | None:
    """Adapter and queue number of a version of either kind, the queue 0 for an adapter's; None if it is not ours."""
    found = re.fullmatch(rf"p{project_id}-a(\d{{1,9}})(?:-q(\d{{1,9}}))?", name)
    return (int(found[1]), int(found[2] or 0)) if found else None


def queue_version(project_id: int, adapter: int, queue: int) -> str:
    """The version that a published queue carries; never that of an adapter, so that `/predict` cannot add to it."""
    return f"{adapter_version(project_id, adapter)}-q{queue}"

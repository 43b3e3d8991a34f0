"""What the learner says of a text → a prediction in Label Studio's format."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from backend.labelstudio.controls import BY_KIND
from backend.labelstudio.controls.base import Output, Region
from backend.labelstudio.task_spec import TaskSpec
from backend.targets import Target, Values

Outputs = Mapping[str, NDArray[np.generic]]  # by "target/array", one text a row


def prediction(
    spec: TaskSpec, learned: Sequence[Target], outputs: Outputs, row: int, text: str
) -> tuple[list[Region], float | None]:
    """One text's `result`, and the confidence of its least certain control in [0, 1], if one has any.

    learned: what the adapter knows, which may be less or other than the label config asks today.
    """
    regions: list[Region] = []
    confidences = []
    known = {target.name: target for target in learned}
    for control in spec.controls:
        target = known.get(control.name)
        if target is None or target.kind != control.target.kind:
            continue
        kind = BY_KIND[target.kind]
        value, confidence = kind.predicted(control, target, output_of(target, outputs, row), text)
        if value is not None:
            made = kind.regions(control, value, text)
            regions += made if confidence is None else [{**each, "score": confidence} for each in made]
            if confidence is not None:
                confidences.append(confidence)
    return regions, min(confidences, default=None)


def output_of(target: Target, outputs: Outputs, row: int) -> Output:
    """What the learner says of one text about one target, by the names of its kind."""
    parts = {name: name.rpartition("/") for name in outputs}
    return {array: outputs[name][row] for name, (owner, _, array) in parts.items() if owner == target.name}


def spelled(spec: TaskSpec, values: Values, text: str) -> list[Region]:
    """The `result` that says these values: what an annotator who thinks so submits."""
    return [
        region
        for control in spec.controls
        if control.name in values
        for region in BY_KIND[control.target.kind].regions(control, values[control.name], text)
    ]


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

"""Outputs of the learner → predictions in Label Studio's format."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.labelstudio.controls import BY_KIND
from backend.labelstudio.controls.base import Output, Region
from backend.labelstudio.controls.per_region import Mark, attached
from backend.labelstudio.label_config.task_spec import Control, TaskSpec
from backend.targets import Target, Values

Outputs = Mapping[str, NDArray[np.generic]]  # by "target/array", one row per text


def prediction(
    spec: TaskSpec, learned: Sequence[Target], outputs: Outputs, row: int, text: str
) -> tuple[list[Region], float | None]:
    """The `result` of one text, and the lowest confidence of its controls in [0, 1], if any has one.

    learned: the adapter's targets, which may differ from those of the current label config. Without those that are held
    back.
    """
    values, confidences = answered(spec, [each for each in learned if not each.held_back], outputs, row, text)
    result = [
        {**each, "score": confidences[each["from_name"]]} if each["from_name"] in confidences else each
        for each in spelled(spec, values, text)
    ]
    return result, min(confidences.values(), default=None)


def answered(
    spec: TaskSpec, learned: Sequence[Target], outputs: Outputs, row: int, text: str
) -> tuple[dict[str, Any], dict[str, float]]:
    """The values of one text, and the confidences of those that have one, by control. learned: as in `prediction`."""
    values: dict[str, Any] = {}
    confidences: dict[str, float] = {}
    known = {target.name: target for target in learned}
    for control in spec.controls:
        target = known.get(control.name)
        if target is not None and target.kind == control.target.kind:
            output = output_of(target, outputs, row)
            value, confidence = BY_KIND[target.kind].predicted(control, target, output, text)
            if value is not None:
                values[control.name] = value
                confidences |= {} if confidence is None else {control.name: confidence}
    return values, confidences


def output_of(target: Target, outputs: Outputs, row: int) -> Output:
    """The output for one text and one target, by array name."""
    parts = {name: name.rpartition("/") for name in outputs}
    return {array: outputs[name][row] for name, (owner, _, array) in parts.items() if owner == target.name}


def spelled(spec: TaskSpec, values: Values, text: str) -> list[Region]:
    """The `result` of these values, as an annotator would submit it."""
    given = [control for control in spec.controls if control.name in values]
    found = {each.name: BY_KIND[each.target.kind].regions(each, values[each.name], text)
             for each in given if not each.per_region}  # fmt: skip
    marks = _marks(given, values, text) if len(found) < len(given) else []
    for control in given:
        if control.per_region:
            found[control.name] = attached(control, values[control.name], marks)
    return [region for control in given for region in found[control.name]]


def _marks(controls: Sequence[Control], values: Values, text: str) -> list[Mark]:
    """The spans of controls that mark them."""
    return [
        Mark(start, end, label, region)
        for control in controls
        if control.target.kind == "spans" and not control.per_region
        for start, end, label in values[control.name]
        for region in BY_KIND["spans"].regions(control, [[start, end, label]], text)
    ]


def adapter_version(project_id: int, adapter: int, head: int = 0) -> str:
    """The version in answers of `/predict`. head: how often the adapter's head was refitted."""
    return f"p{project_id}-a{adapter}" + (f"-h{head}" if head else "")


def check_version(project_id: int) -> str:
    """The version of predictions that show what labels to check may rather be. No queue has it."""
    return f"p{project_id}-check"


def taken_version(project_id: int) -> str:
    """The version of predictions that show labels of the model that were taken. No queue has it."""
    return f"p{project_id}-taken"


def parse_version(name: str, project_id: int) -> tuple[int, int] | None:
    """Adapter and queue number of a version, with queue 0 in an adapter version; None for any other name."""
    found = re.fullmatch(rf"p{project_id}-a(\d{{1,9}})(?:-h\d{{1,9}}|-q(\d{{1,9}}))?", name)
    return (int(found[1]), int(found[2] or 0)) if found else None


def queue_version(project_id: int, adapter: int, queue: int) -> str:
    """The version of a published queue. Differs from adapter versions, so that `/predict` cannot add to the queue."""
    return f"{adapter_version(project_id, adapter)}-q{queue}"

"""Annotations → the values to learn from a task."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from backend.labelstudio.controls import BY_KIND
from backend.labelstudio.controls.base import Region
from backend.labelstudio.task_spec import Condition, Control, TaskSpec

_LONGEST = 1800.0  # seconds counted for one annotation at most


class TaskState(NamedTuple):
    """The combined annotations of one task."""

    task_id: int
    values: dict[str, Any]  # by control; controls without a label or with tied votes are absent
    annotated: bool  # has an annotation that is not a skip
    skipped: bool  # has a skip
    ground_truth: bool = False  # has an annotation marked as ground truth


class ReadAnnotation(NamedTuple):
    """One annotation as the backend stores it."""

    id: Any  # Label Studio's number
    values: dict[str, Any]  # by control; empty for a skip
    skipped: bool
    ground_truth: bool
    annotator: int | None  # Label Studio's number of the user
    seconds: float | None  # that it took

    def columns(self) -> dict[str, Any]:
        """As columns of the store."""
        return {
            "id": self.id, "annotator": self.annotator, "skipped": self.skipped, "labels": self.values,
            "seconds": self.seconds,
        }  # fmt: skip


def values_of(annotation: Mapping[str, Any], spec: TaskSpec) -> dict[str, Any]:
    """The values of one annotation, by control. Empty for a skip; hidden controls are left out."""
    if annotation.get("was_cancelled"):
        return {}
    result = annotation.get("result")
    regions = [each for each in result if isinstance(each, dict)] if isinstance(result, list) else []
    found = {}
    for control in spec.controls:
        if all(_met(condition, regions) for condition in control.conditions):
            value = BY_KIND[control.target.kind].value(control, _of(control, regions))
            if value is not None:
                found[control.name] = value
    return found


def read(annotations: Iterable[Mapping[str, Any]], spec: TaskSpec) -> list[ReadAnnotation]:
    """Parse each annotation of a task once."""
    found = []
    for each in annotations:
        who = each.get("completed_by")
        who = who.get("id") if isinstance(who, Mapping) else who
        found.append(
            ReadAnnotation(
                id=each.get("id"),
                values=values_of(each, spec),
                skipped=bool(each.get("was_cancelled")),
                ground_truth=bool(each.get("ground_truth")),
                annotator=who if isinstance(who, int) else None,
                seconds=_seconds(each.get("lead_time")),
            )
        )
    return found


def combined(task_id: int, annotations: Sequence[ReadAnnotation], spec: TaskSpec) -> TaskState:
    """Combine a task's annotations. If some are ground truth, only those count; a tie gives no value."""
    submitted = [each for each in annotations if not each.skipped]
    truths = [each for each in submitted if each.ground_truth]
    values = {}
    for control in spec.controls:
        votes = [each.values[control.name] for each in truths or submitted if control.name in each.values]
        agreed = BY_KIND[control.target.kind].agreed(votes) if votes else None
        if agreed is not None:
            values[control.name] = agreed
    return TaskState(task_id, values, bool(submitted), len(submitted) < len(annotations), bool(truths))


def state_of(task_id: int, annotations: Iterable[Mapping[str, Any]], spec: TaskSpec) -> TaskState:
    """Parse and combine a task's annotations."""
    return combined(task_id, read(annotations, spec), spec)


def _seconds(took: object) -> float | None:
    """Seconds spent on one annotation, at most `_LONGEST`: a tab left open is not work. None if unreadable."""
    if isinstance(took, bool) or not isinstance(took, int | float) or not 0 <= took < math.inf:
        return None
    return float(min(took, _LONGEST))


def _of(control: Control, regions: Sequence[Region]) -> list[Region]:
    return [each for each in regions if each.get("from_name") == control.name and each.get("type") == control.type]


def _met(condition: Condition, regions: Sequence[Region]) -> bool:
    """Whether the choices of another control meet the condition for showing a control."""
    chosen = {
        str(name)
        for each in regions
        if each.get("from_name") == condition.name
        for name in _names(each.get("value") or {})
    }
    has = bool(chosen & condition.choices) if condition.choices else bool(chosen)
    return has == condition.shown


def _names(value: Mapping[str, Any]) -> list[Any]:
    """The choices of a region, or the leaves of its taxonomy paths."""
    return [*(value.get("choices") or []), *(path[-1] for path in value.get("taxonomy") or [] if path)]

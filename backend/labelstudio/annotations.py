"""Annotations → the values to learn from a task."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from backend.labelstudio.controls import BY_KIND
from backend.labelstudio.controls.base import Region, UnusableError, weighted_majority
from backend.labelstudio.controls.per_region import of_spans
from backend.labelstudio.label_config.conditions import met
from backend.labelstudio.label_config.task_spec import Control, TaskSpec
from backend.labelstudio.model_labels import is_of_model
from backend.labelstudio.unusable import Reason

Trust = Mapping[str, Mapping[str, float]]  # by control and annotator: how much a label counts
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
    unusable: dict[str, Reason]  # by control: why its label cannot be learned

    def columns(self) -> dict[str, Any]:
        """As columns of the store."""
        return {
            "id": self.id, "annotator": self.annotator, "skipped": self.skipped, "labels": self.values,
            "seconds": self.seconds, "unusable": self.unusable or None,
        }  # fmt: skip


def values_of(annotation: Mapping[str, Any], spec: TaskSpec, text: str | None = None) -> dict[str, Any]:
    """The values of one annotation, by control. Empty for a skip; hidden controls are left out. text: of the task."""
    return _values(annotation, spec, text)[0]


def _values(
    annotation: Mapping[str, Any], spec: TaskSpec, text: str | None
) -> tuple[dict[str, Any], dict[str, Reason]]:
    """The values of one annotation by control, and of the other controls why theirs cannot be learned.

    text: of the task, if known. A result may hold anything: Label Studio does not check what its API receives.
    """
    values: dict[str, Any] = {}
    unusable: dict[str, Reason] = {}
    if annotation.get("was_cancelled"):
        return values, unusable
    regions = [each for each in _list(annotation.get("result")) if isinstance(each, dict)]
    for control in spec.controls:
        try:
            if not all(met(condition, regions) for condition in control.conditions):
                continue
            value = BY_KIND[control.target.kind].value(control, _of(control, regions), text)
            if value is None:
                continue
            values[control.name] = value
        except UnusableError as error:
            unusable[control.name] = error.reason
        except (TypeError, ValueError, AttributeError, LookupError, ArithmeticError, RecursionError):
            unusable[control.name] = Reason.UNREADABLE
    return values, unusable


def read(annotations: Iterable[Mapping[str, Any]], spec: TaskSpec, text: str | None = None) -> list[ReadAnnotation]:
    """Parse each annotation of a person once. text: of the task, to check spans against.

    Labels that the model gave are no labels to learn from, to measure with, or to count as work.
    """
    found = []
    for each in annotations:
        if is_of_model(each):
            continue
        values, unusable = _values(each, spec, text)
        who = each.get("completed_by")
        who = who.get("id") if isinstance(who, Mapping) else who
        found.append(
            ReadAnnotation(
                id=each.get("id"),
                values=values,
                skipped=bool(each.get("was_cancelled")),
                ground_truth=bool(each.get("ground_truth")),
                annotator=who if isinstance(who, int) else None,
                seconds=_seconds(each.get("lead_time")),
                unusable=unusable,
            )
        )
    return found


def combined(
    task_id: int, annotations: Sequence[ReadAnnotation], spec: TaskSpec, trust: Trust = MappingProxyType({})
) -> TaskState:
    """Combine a task's annotations. If some are ground truth, only those count; a tie gives no value."""
    submitted = [each for each in annotations if not each.skipped]
    truths = [each for each in submitted if each.ground_truth]
    values = {}
    for control in spec.controls:
        given = [each for each in truths or submitted if control.name in each.values]
        weights, votes = trust.get(control.name), [each.values[control.name] for each in given]
        if weights and len(votes) > 1:
            average = sum(weights.values()) / len(weights)
            agreed = weighted_majority(
                [(vote, weights.get(str(each.annotator), average)) for vote, each in zip(votes, given, strict=True)]
            )
        else:
            agreed = BY_KIND[control.target.kind].agreed(votes) if votes else None
        if agreed is not None:
            values[control.name] = agreed
    return TaskState(task_id, values, bool(submitted), len(submitted) < len(annotations), bool(truths))


def state_of(
    task_id: int, annotations: Iterable[Mapping[str, Any]], spec: TaskSpec, text: str | None = None,
    trust: Trust = MappingProxyType({}),
) -> TaskState:  # fmt: skip
    """Parse and combine a task's annotations."""
    return combined(task_id, read(annotations, spec, text), spec, trust)


def _seconds(took: object) -> float | None:
    """Seconds spent on one annotation, at most `_LONGEST`: a tab left open is not work. None if unreadable."""
    if isinstance(took, bool) or not isinstance(took, int | float) or not 0 <= took < math.inf:
        return None
    return float(min(took, _LONGEST))


def _of(control: Control, regions: Sequence[Region]) -> list[Region]:
    """The regions of a control. Raises `UnusableError` for one whose `value` is no object."""
    if control.per_region:
        regions = of_spans(regions, control)
    found = [each for each in regions if each.get("from_name") == control.name and each.get("type") == control.type]
    if not all(isinstance(each.get("value"), dict) for each in found):
        raise UnusableError(Reason.UNREADABLE)
    return found


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []

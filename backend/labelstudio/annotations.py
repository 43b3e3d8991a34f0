"""Annotations → the label that a task teaches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from backend.labelstudio.label_config import TaskSpec


class TaskState(NamedTuple):
    """What the annotations of one task amount to."""

    task_id: int
    label: str | None  # None: nobody labeled it, or the annotators' votes are tied
    annotated: bool  # somebody submitted an annotation that is not a skip
    skipped: bool


def label_of(annotation: Mapping[str, Any], spec: TaskSpec) -> str | None:
    """The chosen class of one annotation; None if it was skipped, is empty, or names no single class."""
    if annotation.get("was_cancelled"):
        return None
    for region in annotation.get("result") or ():
        if region.get("from_name") == spec.from_name and region.get("type") == "choices":
            chosen = (region.get("value") or {}).get("choices") or []
            if len(chosen) == 1:
                return str(chosen[0])
    return None


def state_of(task_id: int, annotations: Iterable[Mapping[str, Any]], spec: TaskSpec) -> TaskState:
    """Majority vote of a task's annotations; a ground-truth annotation decides alone, a tie decides nothing."""
    annotations = list(annotations)
    submitted = [a for a in annotations if not a.get("was_cancelled")]
    truths = [a for a in submitted if a.get("ground_truth")]
    votes = Counter(label for a in truths or submitted if (label := label_of(a, spec)) is not None)
    most = max(votes.values(), default=0)
    winners = [label for label, count in votes.items() if count == most]
    label = winners[0] if len(winners) == 1 else None
    return TaskState(task_id, label, bool(submitted), len(submitted) < len(annotations))

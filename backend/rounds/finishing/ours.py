"""Which annotations in Label Studio are the model's: those that this backend wrote and no person has changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from backend.labelstudio.annotations import ReadAnnotation
from backend.rounds.context import ProjectRun
from backend.store.finishes import WRITE, Given


def is_ours(annotation: ReadAnnotation, given: Given, *, writing: bool) -> bool:
    """Whether an annotation is a label that this backend wrote and no person has changed since.

    writing: labels are being written now, so that one may be there whose number is not recorded yet.
    """
    known = annotation.id == given.annotation or (given.annotation is None and writing)
    return known and not annotation.skipped and not annotation.changed and annotation.values == given.labels


def without_ours(
    run: ProjectRun, by_task: Mapping[int, Sequence[ReadAnnotation]]
) -> dict[int, Sequence[ReadAnnotation]]:
    """The annotations of people: the others are no labels to learn from, to measure with or to count as work."""
    given = {each.task_id: each for each in run.finishes.given(to=list(by_task))}
    if not given:
        return dict(by_task)
    last = run.finishes.last()
    writing = last.number if last is not None and last.wanted == WRITE else None
    return {
        task_id: [
            each
            for each in annotations
            if task_id not in given or not is_ours(each, given[task_id], writing=given[task_id].finish == writing)
        ]
        for task_id, annotations in by_task.items()
    }

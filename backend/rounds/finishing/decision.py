"""Which of the model's labels the sample proves right enough."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from backend.evaluation.selective import Part, largest
from backend.rounds.context import ProjectRun
from backend.rounds.finishing.answers import right
from backend.store.finishes import CERTIFIED, REFUSED, Answer
from backend.store.sql.models import Finish

log = logging.getLogger(__name__)

WHOLE = "whole"  # scope: the accuracy is that of all tasks, of which people's labels count as right
MACHINE = "machine"  # scope: the accuracy is that of the labels that the model gives
_CURVE = (0.8, 0.85, 0.9, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98, 0.99)
_DOUBTFUL = 20  # tasks listed from the least confident end of the part


def decide(run: ProjectRun, finish: Finish) -> None:
    """Compare the sample's labels with the model's, and store the largest part that is right often enough.

    A task of the sample that annotators skipped, or on which they do not agree, counts as wrong. Tasks that people
    labeled meanwhile belong to the ranking, and need no label of the model.
    """
    labels, found = run.tasks.labels_of([each.task_id for each in run.finishes.answers(finish.number)]), []
    found = [each for each in run.finishes.answers(finish.number) if each.task_id in labels]  # others were deleted
    of = finish.result["tasks"] if finish.scope == WHOLE else None
    rows = [row for row, each in enumerate(found) if each.sampled]
    correct = {
        found[row].task_id: right(run.spec, found[row].labels, labels[found[row].task_id], finish.tolerance)
        for row in rows
    }
    wrong = np.array([not correct[found[row].task_id] for row in rows], bool)
    confidence, sample = np.array([each.confidence for each in found]), np.array(rows, np.int64)

    def part(accuracy: float) -> Part:
        return largest(confidence, sample, wrong, accuracy, finish.result["risk"], of=of)

    best = part(finish.accuracy)
    ranked = np.argsort(-confidence, kind="stable")[: best.size]
    taken = [found[row] for row in ranked if not found[row].sampled]
    result = {
        **finish.result,
        "sample": len(rows),
        "wrong": int(wrong.sum()),
        "unlabeled": sum(not labels[found[row].task_id] for row in rows),
        "part": {"sampled": best.sampled, "wrong": best.wrong},
        "taken": len(taken),
        "at_most": int((1 - finish.accuracy) * (len(taken) if of is None else of) + 1e-9),
        "least_confidence": taken[-1].confidence if taken else None,
        "curve": [[accuracy, part(accuracy).taken] for accuracy in sorted({*_CURVE, finish.accuracy})],
        "doubtful": _doubtful(taken),
    }
    state = CERTIFIED if taken else REFUSED
    run.finishes.decide(
        finish.number, state, right=correct, keep=[each.task_id for each in taken], result=result,
        error=None if taken else _reason(finish, result),
    )  # fmt: skip
    log.info("project %d: the model was wrong on %d of the %d tasks of the sample; %d labels can be taken",
             run.id, wrong.sum(), len(rows), len(taken))  # fmt: skip


def _doubtful(taken: Sequence[Answer]) -> list[int]:
    return [each.task_id for each in taken[-_DOUBTFUL:]]


def _reason(finish: Finish, result: dict[str, Any]) -> str:
    return (
        f"the model was wrong on {result['wrong']} of the {result['sample']} tasks of the sample, so no part of its "
        f"labels is proven {finish.accuracy:.1%} right; label more, or accept a lower accuracy"
    )

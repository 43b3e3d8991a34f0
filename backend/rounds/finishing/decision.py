"""Which of the model's labels the sample proves right enough, and taking them."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from backend.rounds.context import ProjectRun
from backend.rounds.finishing.answers import right
from backend.rounds.finishing.groups import Group, groups_of, names_of, prove
from backend.store.finishes import CERTIFIED, IN_FORCE, REFUSED, TAKEN, WHOLE, Answer, Now
from backend.store.sql.models import Finish

log = logging.getLogger(__name__)

_CURVE = (0.8, 0.85, 0.9, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98, 0.99)
_DOUBTFUL = 20  # tasks listed from the least confident end of the part


def changed(run: ProjectRun, finish: Finish) -> str | None:
    """Why the answers no longer fit the label config; None if they do."""
    now = [target.as_json() for target in run.spec.targets]
    return None if finish.result["targets"] == now else "the label config changed since the sample was drawn"


def decide(run: ProjectRun, finish: Finish) -> None:
    """Compare the sample's labels with the model's, and store the largest part that is right often enough.

    A task of the sample counts as wrong if annotators skipped it or do not agree on it, and if it was deleted or has
    another text now. Other tasks of which that is true, or that people labeled meanwhile, get no label of the model.
    """
    answers, now = run.finishes.answers(finish.number), run.finishes.now(finish.number)
    rows = np.array([row for row, each in enumerate(answers) if each.sampled], np.int64)
    wrong = np.array([not _is_right(run, finish, answers[row], now.get(answers[row].task_id)) for row in rows], bool)
    free = np.array([not each.sampled and _is_free(now.get(each.task_id)) for each in answers], bool)
    of = _of(run, finish)
    spent = _spent(run) if of is not None else 0

    def proven(accuracy: float) -> tuple[list[Group], list[Answer]]:
        return prove(finish.scope, answers, rows, wrong, free, accuracy, finish.result["risk"], of=of, spent=spent)

    groups, taken = proven(finish.accuracy)
    result = {
        **finish.result,
        "sample": len(rows),
        "wrong": int(wrong.sum()),
        "unlabeled": sum(not _is_labeled(now.get(answers[row].task_id)) for row in rows),
        "part": {"sampled": sum(each.sampled for each in groups), "wrong": sum(each.wrong for each in groups)},
        "groups": [each._asdict() for each in groups],
        "taken": len(taken),
        "at_most": sum(each.at_most for each in groups),
        "accuracy": finish.accuracy,
        "curve": [[each, len(proven(each)[1])] for each in sorted({*_CURVE, finish.accuracy})],
        "doubtful": [each.task_id for each in taken[-_DOUBTFUL:]],
    }
    run.finishes.decide(
        finish.number, CERTIFIED if taken else REFUSED, keep={each.task_id for each in taken}, result=result,
        error=None if taken else _reason(finish, result),
    )  # fmt: skip
    log.info("project %d: the model was wrong on %d of the %d tasks of the sample; %d labels can be taken",
             run.id, wrong.sum(), len(rows), len(taken))  # fmt: skip


def take(run: ProjectRun, finish: Finish) -> None:
    """Take the labels of tasks that are still open. State which accuracy is proven of these.

    Those that people labeled since were among the proven ones: the errors that their labels show are known, and the
    others remain possible.
    """
    if finish.state != CERTIFIED:
        return
    now = run.finishes.now(finish.number)
    answers = run.finishes.answers(finish.number, to=list(now))
    since = [each for each in answers if not each.sampled and not _is_free(now[each.task_id])]
    known = [each for each in since
             if _is_labeled(now[each.task_id]) and not _is_right(run, finish, each, now[each.task_id])]  # fmt: skip
    run.finishes.take(finish.number)
    given = names_of(finish.scope, run.finishes.given(finish.number))
    lost = names_of(finish.scope, known)
    groups = [
        {**each, "taken": given.count(each["name"]),
         "at_most": max(0, min(given.count(each["name"]), each["at_most"] - lost.count(each["name"])))}
        for each in groups_of(finish)
    ]  # fmt: skip
    at_most, of = sum(each["at_most"] for each in groups), _of(run, finish)
    wrong = [(each["at_most"], each["taken"]) for each in groups if each["taken"]]
    if of is not None:
        wrong = [(at_most + _spent(run), of)]
    proven = min([finish.accuracy, *(1 - few / all_ for few, all_ in wrong)])
    result = {**finish.result, "groups": groups, "taken": len(given), "at_most": at_most, "accuracy": proven}
    run.finishes.set(finish.number, state=TAKEN, result=result)


def _of(run: ProjectRun, finish: Finish) -> int | None:
    """The number of all tasks, if the accuracy is meant of them. Those deleted since the draw no longer count."""
    return min(finish.result["of"], run.tasks.count_labelable()) if finish.scope == WHOLE else None


def _spent(run: ProjectRun) -> int:
    """The wrong labels that finishes in force may have."""
    return sum(each.result["at_most"] for each in run.finishes.all() if each.state in IN_FORCE)


def _is_free(now: Now | None) -> bool:
    return now is not None and now.open and now.same


def _is_labeled(now: Now | None) -> bool:
    return now is not None and bool(now.labels)


def _is_right(run: ProjectRun, finish: Finish, answer: Answer, now: Now | None) -> bool:
    return now is not None and now.same and right(run.spec, answer.labels, now.labels, finish.tolerance)


def _reason(finish: Finish, result: dict[str, Any]) -> str:
    return (
        f"the model was wrong on {result['wrong']} of the {result['sample']} tasks of the sample, so no part of its "
        f"labels is proven {finish.accuracy:.1%} right; label more, or accept a lower accuracy"
    )

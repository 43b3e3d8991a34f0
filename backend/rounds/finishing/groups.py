"""The groups of answers of which an accuracy is to be proven: all of them, or those of each class by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backend.evaluation.selective import largest
from backend.labelstudio.label_config.task_spec import TaskSpec
from backend.store.finishes import CLASS, Answer, Given
from backend.store.sql.models import Finish

Array = NDArray[Any]


class Group(NamedTuple):
    """What the sample proves of the answers of one class, or of all. The fields are those that are stored."""

    name: str | None  # of the class; None: all answers
    answers: int
    taken: int  # that can be taken
    sampled: int  # labels of the sample on tasks that are as certain
    wrong: int  # of these
    at_most: int  # wrong ones among the taken


def obstacle_to_classes(spec: TaskSpec, scope: str) -> str | None:
    """Why no accuracy can be proven class by class; None if it can, or if that is not wanted."""
    kinds = [target.kind for target in spec.targets]
    if scope != CLASS or kinds == ["classification"]:
        return None
    return "an accuracy of each class can only be proven where one choice of a single control is all that is labeled"


def names_of(scope: str, answers: Sequence[Answer | Given]) -> list[str | None]:
    """The name of each answer's group."""
    return [name_of(scope, each.labels) for each in answers]


def of_largest(scope: str, answers: Sequence[Answer]) -> tuple[int, int]:
    """The number of groups, and the size of the largest."""
    names = names_of(scope, answers)
    sizes = [names.count(name) for name in set(names)]
    return len(sizes), max(sizes, default=0)


def prove(
    scope: str, answers: Sequence[Answer], sample: Array, wrong: Array, free: Array, accuracy: float, risk: float, *,
    of: int | None, spent: int,
) -> tuple[list[Group], list[Answer]]:  # fmt: skip
    """The groups with the largest parts that are proven, and the answers in these, the most confident first.

    Each group has an equal share of the risk, so that all statements hold together. Its part of the sample is a random
    sample of it, since the answers are fixed before the sample is drawn. sample: rows of `answers`; wrong: of each of
    them; free: of each answer, whether its task may get it. of, spent: as in `largest`.
    """
    names = np.array([name or "" for name in names_of(scope, answers)])
    confidence = np.array([each.confidence for each in answers])
    found, taken = [], []
    groups = np.unique(names).tolist()
    for name in groups:
        rows = np.flatnonzero(names == name)
        mine = np.isin(sample, rows)
        part = largest(
            confidence[rows], np.searchsorted(rows, sample[mine]), wrong[mine], free[rows], accuracy,
            risk / len(groups), of=of, spent=spent,
        )  # fmt: skip
        ranked = rows[np.argsort(-confidence[rows], kind="stable")][: part.size]
        inside = [int(row) for row in ranked if free[row]]
        at_most = max(0, min(len(inside), part.allowed - part.wrong))
        found.append(Group(name or None, len(rows), len(inside), part.sampled, part.wrong, at_most))
        taken += inside
    taken.sort(key=lambda row: -confidence[row])
    return found, [answers[row] for row in taken]


def name_of(scope: str, labels: Mapping[str, Any]) -> str | None:
    """The name of the group that labels belong to."""
    value = next(iter(labels.values()), None)
    return value if scope == CLASS and isinstance(value, str) else None


def groups_of(finish: Finish) -> list[dict[str, Any]]:
    """The decided groups; one, of a decision that an earlier release stored."""
    only = {"name": None, "taken": finish.result["taken"], "at_most": finish.result["at_most"]}
    groups: list[dict[str, Any]] = finish.result.get("groups", [only])
    return groups

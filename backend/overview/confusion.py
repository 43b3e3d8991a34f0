"""Which classes the model confuses, and how well it knows each, on held-out labels."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

import numpy as np
from pydantic import Field
from typing_extensions import TypedDict

from backend.evaluation.bounds import interval
from backend.labelstudio.controls import BY_KIND
from backend.labelstudio.predictions import output_of
from backend.learners.kinds import output_names
from backend.rounds.adapters import learned
from backend.rounds.context import spec_of
from backend.store import Store
from backend.store.sql.models import Project

_KINDS = ("classification", "pairwise")
_TASKS = 5  # listed of each confusion


class ClassScore(TypedDict):
    """How well the model knows a class."""

    name: str
    labels: Annotated[int, Field(description="To train on")]
    held_out: int
    right: Annotated[int, Field(description="Held-out labels of the class that the model predicts")]
    low: Annotated[float | None, Field(description="95 % interval of the share of right ones; null without any")]
    high: float | None
    predicted: Annotated[int, Field(description="Held-out tasks of which the model predicts the class")]


class Confused(TypedDict):
    """Held-out tasks of one class of which the model predicts another."""

    label: str
    predicted: str
    count: int
    tasks: Annotated[list[int], Field(description="The first of them")]


class Confusion(TypedDict):
    """Of one control. Classes without a held-out label or prediction are left out of the matrix."""

    classes: list[ClassScore]
    names: Annotated[list[str], Field(description="Of rows and columns of the matrix")]
    matrix: Annotated[list[list[int]], Field(description="Held-out tasks by label (row) and prediction (column)")]
    confused: Annotated[list[Confused], Field(description="The most frequent first")]


def confusion(store: Store, project: Project) -> dict[str, Confusion]:
    """By control with a single choice, as the adapter in service predicts; empty before it was measured."""
    mine = store.of(project.id)
    adapter = mine.rounds.adapter(project.adapter)
    targets = {each.name: each for each in learned(adapter)} if adapter is not None else {}
    training, held_out = mine.tasks.labeled(audit=False), mine.tasks.labeled(audit=True)
    found: dict[str, Confusion] = {}
    for control in spec_of(project).controls:
        target = targets.get(control.name)
        if target is None or target.kind != control.target.kind or target.kind not in _KINDS:
            continue
        given = [each for each in held_out if control.target.offers(each.values.get(control.name))]
        there, outputs = store.files.scores(project.id, project.adapter).found(
            output_names([target]), np.array([each.digest for each in given], np.int64)
        )
        known = [each for each, is_there in zip(given, there, strict=True) if is_there]
        pairs = Counter[tuple[str, str]]()
        tasks: dict[tuple[str, str], list[int]] = {}
        for row, each in enumerate(known):
            value, _ = BY_KIND[target.kind].predicted(control, target, output_of(target, outputs, row), each.text)
            pair = (each.values[control.name], str(value))
            pairs[pair] += 1
            tasks.setdefault(pair, []).append(each.id)
        labels = Counter(each.values.get(control.name) for each in training)
        if pairs:
            found[control.name] = _of(control.target.classes, pairs, tasks, labels)
    return found


def _of(
    classes: tuple[str, ...], pairs: Counter[tuple[str, str]], tasks: dict[tuple[str, str], list[int]],
    labels: Counter[str | None],
) -> Confusion:  # fmt: skip
    held_out, predicted = Counter[str](), Counter[str]()
    for (label, value), count in pairs.items():
        held_out[label] += count
        predicted[value] += count
    scores: list[ClassScore] = []
    for name in classes:
        right, of = pairs[name, name], held_out[name]
        low, high = interval(right / of, of) if of else (None, None)
        scores.append({
            "name": name, "labels": labels[name], "held_out": of, "right": right, "low": low, "high": high,
            "predicted": predicted[name],
        })  # fmt: skip
    names = [name for name in classes if held_out[name] or predicted[name]]
    wrong = sorted(((count, pair) for pair, count in pairs.items() if pair[0] != pair[1]), key=lambda e: (-e[0], e[1]))
    return {
        "classes": scores,
        "names": names,
        "matrix": [[pairs[label, value] for value in names] for label in names],
        "confused": [
            {"label": pair[0], "predicted": pair[1], "count": count, "tasks": tasks[pair][:_TASKS]}
            for count, pair in wrong
        ],
    }

"""The model's labels of the remaining tasks, as a person would submit them, and its confidence in each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.labelstudio.controls.base import Output
from backend.labelstudio.label_config.conditions import met
from backend.labelstudio.label_config.task_spec import Control, TaskSpec
from backend.labelstudio.predictions import answered, output_of, spelled
from backend.learners.kinds import output_names
from backend.options import ProjectOptions
from backend.rounds.adapters import find, learned, load
from backend.rounds.context import ProjectRun
from backend.store.finishes import Answer
from backend.store.texts import TaskText
from backend.targets import Target, Values

_AT_ONCE = 4096  # texts whose outputs are in memory


def obstacle(spec: TaskSpec, options: ProjectOptions) -> str | None:
    """Why the labels of a project cannot be taken from a model; None if they can."""
    if not options.manage_queue:
        return "its queue is not ordered by this backend (manage_queue), so people would not get the sample first"
    for control in spec.controls:
        if control.target.kind == "generation":
            return f"'{control.name}' is written text, of which no comparison proves that it is right"
        if control.per_region:
            return f"'{control.name}' is answered for each marked span, which finishing does not support"
    if spec.left_out:
        return f"the model does not learn every control: {spec.left_out[0]}"
    return None


def answers(run: ProjectRun) -> list[Answer]:
    """The answers of the adapter in service to all open tasks, ordered by task. Tasks without an answer are left out.

    Outputs that no round stored are computed here.
    """
    targets = {target.name: target for target in learned(find(run, run.version))}
    tasks, names = run.tasks.remaining(), output_names(list(targets.values()))
    known = run.scores.rows(np.array([task.digest for task in tasks], np.int64)) >= 0
    missing = [task for task, is_known in zip(tasks, known, strict=True) if not is_known]
    computed = _computed(run, missing)
    found: list[Answer] = []
    for start in range(0, len(tasks), _AT_ONCE):
        some = tasks[start : start + _AT_ONCE]
        there, outputs = run.scores.found(names, np.array([task.digest for task in some], np.int64))
        rows = iter(range(int(there.sum())))
        for task, is_there in zip(some, there, strict=True):
            of_task, row = (outputs, next(rows)) if is_there else (computed[0], computed[1][task.id])
            found += [
                Answer(task.id, confidence, values, task.digest)
                for values, confidence in _answered(run.spec, targets, of_task, row, task.text)
            ]
    return found


def right(spec: TaskSpec, ours: Values, theirs: Values, tolerance: float) -> bool:
    """Whether a person gave the same label in every control. tolerance: difference of numbers that counts as none."""
    for control in spec.controls:
        one, other = ours.get(control.name), theirs.get(control.name)
        if control.target.kind == "regression" and isinstance(one, int | float) and isinstance(other, int | float):
            if abs(one - other) > tolerance + 1e-9:
                return False
        elif one != other:
            return False
    return True


def _computed(run: ProjectRun, tasks: Sequence[TaskText]) -> tuple[Mapping[str, NDArray[Any]], dict[int, int]]:
    """The adapter's outputs for these tasks, and the row of each task."""
    if not tasks:
        return {}, {}
    with run.alone("finishing"), run.progress("labeling the remaining tasks") as progress:
        learner = load(run, run.version)
        try:
            found = learner.score([task.text for task in tasks], progress=progress)
        finally:
            learner.unload()
    return found, {task.id: row for row, task in enumerate(tasks)}


def _answered(
    spec: TaskSpec, targets: Mapping[str, Target], outputs: Mapping[str, NDArray[Any]], row: int, text: str
) -> list[tuple[dict[str, Any], float]]:
    """Label and confidence of one text; none where a control has no answer. Hidden controls have no label."""
    values, confidences = answered(spec, list(targets.values()), outputs, row, text)
    if len(values) < len(spec.controls):
        return []
    for control in spec.controls:
        if control.name not in confidences:
            output = output_of(targets[control.name], outputs, row)
            confidences[control.name] = _nearness(control, output, values[control.name])
    if any(control.conditions for control in spec.controls):
        values = _shown(spec, values, text)
    return [(values, min((confidences[name] for name in values), default=1.0))]


def _shown(spec: TaskSpec, values: dict[str, Any], text: str) -> dict[str, Any]:
    """The values of the controls that an annotator with these answers sees, in the order of the label config."""
    kept: dict[str, Any] = {}
    for control in spec.controls:
        if all(met(condition, spelled(spec, kept, text)) for condition in control.conditions):
            kept[control.name] = values[control.name]
    return kept


def _nearness(control: Control, output: Output, value: float) -> float:
    """Of a number: 1 where the model gives it exactly, 0 halfway to the next one that the control accepts."""
    step = control.target.step
    return 1.0 if not step else max(0.0, 1.0 - 2.0 * abs(float(output["value"]) - value) / step)


def in_service(run: ProjectRun) -> ProjectRun:
    """The run with the adapter that serves predictions."""
    return replace(run, version=run.project.adapter, head=0)

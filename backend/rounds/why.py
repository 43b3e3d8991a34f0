"""Why a task is in the queue: what the model says of it, how new it is, and how many there are like it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.evaluation.calibration import tempered
from backend.labelstudio.controls import BY_KIND
from backend.labelstudio.predictions import output_of
from backend.labelstudio.task_spec import Control
from backend.learners.kinds import output_names
from backend.rounds.context import Context, learned, spec_of
from backend.rounds.vectors import embedded
from backend.store.texts import TaskText
from backend.targets import Target, unmarked

Array = NDArray[np.float32]

_OTHERS = 2000  # candidates that the chosen ones are compared with
_LABELED = 5000  # those with the highest numbers
_SHOWN = 200  # characters of a value
_TIE = 1e-5  # cosines closer than this are equal: the last digits of float32 sums depend on the processor


def explain(context: Context, project_id: int, version: int, queue: int, *, halvings: int = 0) -> None:
    """Write to each place of a queue what speaks for it.

    `says` is what is predicted, with the confidence and the two likeliest classes; `novelty` and `density` are the
    shares of all candidates that are less far from every label, and that are less like the others.
    halvings: how often to halve the batches that are embedded at once.
    """
    tasks = context.store.tasks
    items = context.store.rounds.queue(project_id, queue)
    texts = tasks.texts(project_id, [item.task_id for item in items])
    told: dict[int, dict[str, Any]] = {task_id: {} for task_id in texts}
    for task_id, said in _says(context, project_id, version, list(texts.values())).items():
        told[task_id] |= said
    chosen = [texts[item.task_id] for item in items if not item.audit and item.task_id in texts]
    others = tasks.listed_waiting(project_id, audit=False).ids
    drawn = np.random.default_rng(project_id).permutation(others)[:_OTHERS].tolist()
    found = tasks.texts(project_id, drawn)
    sample = [found[task_id] for task_id in drawn]
    labels = tasks.labeled(project_id, audit=False)[-_LABELED:]
    vectors = embedded(context, project_id, chosen, sample, labels, halvings=halvings)
    for name, values in _compared(*vectors).items():
        for task, value in zip(chosen, values, strict=True):
            told[task.id][name] = round(float(value), 3)
    context.store.rounds.explain(project_id, queue, told)


def _says(context: Context, project_id: int, version: int, texts: Sequence[TaskText]) -> dict[int, dict[str, Any]]:
    """What the adapter says of each text, as far as it was scored."""
    adapter = context.store.rounds.adapter(project_id, version)
    if adapter is None:
        return {}
    known = {target.name: target for target in learned(adapter)}
    scores = context.store.files.scores(project_id, version)
    there, arrays = scores.found(output_names(learned(adapter)), [text.digest for text in texts])
    controls = [
        each
        for each in spec_of(context.project(project_id)).controls
        if each.name in known and each.target.kind == known[each.name].kind
    ]
    scored = [text for text, is_there in zip(texts, there, strict=True) if is_there]
    return {
        text.id: {"says": [_said(each, known[each.name], arrays, row, text.text) for each in controls]}
        for row, text in enumerate(scored)
    }


def _said(control: Control, target: Target, arrays: Mapping[str, Any], row: int, text: str) -> dict[str, Any]:
    outputs = output_of(target, arrays, row)
    value, confidence = BY_KIND[target.kind].predicted(control, target, outputs, text)
    said: dict[str, Any] = {"control": target.name, "value": in_words(value, text), "confidence": confidence}
    if target.kind in ("classification", "pairwise") and len(target.classes) > 1:
        probs = tempered(np.asarray(outputs["probs"]), target.temperature)
        first, second = np.argsort(-probs, kind="stable")[:2]
        said["between"] = [[target.classes[each], round(float(probs[each]), 3)] for each in (first, second)]
    return said


def in_words(value: Any, text: str) -> str | None:
    """A value of a target in a line."""
    if isinstance(value, list):
        read = unmarked(text)
        parts = [each if isinstance(each, str) else f"{read[each[0] : each[1]]} ({each[2]})" for each in value]
        return ", ".join(parts)[:_SHOWN] or "–"
    if isinstance(value, float):
        return f"{value:.6g}"
    return None if value is None else str(value)[:_SHOWN]


def _compared(chosen: Array, sample: Array, labeled: Array) -> dict[str, NDArray[np.float64]]:
    """By name, a share of the sample for each chosen text, by cosines."""
    if not len(chosen) or not len(sample):
        return {}
    chosen, sample, labeled = (_of_length_one(each) for each in (chosen, sample, labeled))
    found = {"density": _above((chosen @ sample.T).mean(axis=1), (sample @ sample.T).mean(axis=1))}
    if len(labeled):
        nearest = [-(each @ labeled.T).max(axis=1) for each in (chosen, sample)]
        found["novelty"] = _above(*nearest)
    return found


def _of_length_one(vectors: Array) -> Array:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12), np.float32)


def _above(values: NDArray[Any], others: NDArray[Any]) -> NDArray[np.float64]:
    """The share of `others` below each value; ties are not below."""
    return np.searchsorted(np.sort(others), values - _TIE, side="left") / len(others)

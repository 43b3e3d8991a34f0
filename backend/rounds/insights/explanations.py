"""Why a task is in the queue: the model's prediction, its novelty, and the density of similar texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.evaluation.calibration import tempered
from backend.labelstudio.controls import BY_KIND
from backend.labelstudio.label_config.task_spec import Control
from backend.labelstudio.predictions import output_of
from backend.learners.kinds import output_names
from backend.rounds.adapters import learned
from backend.rounds.context import ProjectRun
from backend.rounds.embeddings import embedded
from backend.rounds.reach import within_reach
from backend.store.texts import TaskText
from backend.targets import Target, unmarked

Array = NDArray[np.float32]

_OTHERS = 2000  # candidates to compare the selected ones with
_LABELED = 5000  # labeled texts to compare with, those with the highest task numbers
_SHOWN = 200  # characters of a value
_TIE = 1e-5  # cosines closer than this are equal: the last digits of float32 sums depend on the processor


def applies(run: ProjectRun) -> bool:
    """Whether the round selected a queue."""
    return run.queue is not None


def explain(run: ProjectRun) -> None:
    """Write to each place of the round's queue why its task was selected.

    `says`: the prediction with its confidence and the two most likely classes. `novelty` and `density`: the shares of
    all candidates that are closer to a label, and that are less similar to the other candidates.
    """
    assert run.queue is not None
    tasks = run.tasks
    items = run.rounds.queue(run.queue)
    texts = tasks.texts([item.task_id for item in items])
    reasons: dict[int, dict[str, Any]] = {task_id: {} for task_id in texts}
    for task_id, predicted in _predictions(run, list(texts.values())).items():
        reasons[task_id] |= predicted
    selected = [texts[item.task_id] for item in items if not item.audit and item.task_id in texts]
    others = within_reach(run, tasks.listed_waiting(audit=False)).ids
    drawn = np.random.default_rng(run.id).permutation(others)[:_OTHERS].tolist()
    found = tasks.texts(drawn)
    sample = [found[task_id] for task_id in drawn]
    labels = tasks.labeled(audit=False)[-_LABELED:]
    for name, values in _compared(*embedded(run, selected, sample, labels)).items():
        for task, value in zip(selected, values, strict=True):
            reasons[task.id][name] = round(float(value), 3)
    run.rounds.explain(run.queue, reasons)


def _predictions(run: ProjectRun, texts: Sequence[TaskText]) -> dict[int, dict[str, Any]]:
    """The adapter's prediction of each text that was scored."""
    adapter = run.rounds.adapter(run.version)
    if adapter is None:
        return {}
    known = {target.name: target for target in learned(adapter)}
    scores = run.scores
    there, arrays = scores.found(output_names(learned(adapter)), [text.digest for text in texts])
    controls = [each for each in run.spec.controls if each.name in known and each.target.kind == known[each.name].kind]
    scored = [text for text, is_there in zip(texts, there, strict=True) if is_there]
    return {
        text.id: {"says": [_prediction(each, known[each.name], arrays, row, text.text) for each in controls]}
        for row, text in enumerate(scored)
    }


def _prediction(control: Control, target: Target, arrays: Mapping[str, Any], row: int, text: str) -> dict[str, Any]:
    outputs = output_of(target, arrays, row)
    value, confidence = BY_KIND[target.kind].predicted(control, target, outputs, text)
    shown: dict[str, Any] = {"control": target.name, "value": in_words(value, text), "confidence": confidence}
    if target.kind in ("classification", "pairwise") and len(target.classes) > 1:
        probs = tempered(np.asarray(outputs["probs"]), target.temperature)
        first, second = np.argsort(-probs, kind="stable")[:2]
        shown["between"] = [[target.classes[each], round(float(probs[each]), 3)] for each in (first, second)]
    return shown


def in_words(value: Any, text: str) -> str | None:
    """A value of a target as one line."""
    if isinstance(value, list):
        read = unmarked(text)
        parts = [each if isinstance(each, str) else f"{read[each[0] : each[1]]} ({each[2]})" for each in value]
        return ", ".join(parts)[:_SHOWN] or "–"
    if isinstance(value, float):
        return f"{value:.6g}"
    return None if value is None else str(value)[:_SHOWN]


def _compared(chosen: Array, sample: Array, labeled: Array) -> dict[str, NDArray[np.float64]]:
    """By name, a share of the sample for each selected text, from cosines."""
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

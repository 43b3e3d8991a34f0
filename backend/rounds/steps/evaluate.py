"""Adapter → score on the held-out labels, which were neither selected nor trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.evaluation.calibration import (
    best_temperature,
    calibration_error,
    error_by_chance,
    reliability,
    tempered,
    two_sided,
)
from backend.evaluation.measures import best_threshold, measure
from backend.labelstudio.controls import BY_KIND
from backend.labelstudio.label_config.task_spec import Control
from backend.labelstudio.predictions import output_of
from backend.learners.base import Arrays, Learner
from backend.rounds.adapters import learned, load
from backend.rounds.context import ProjectRun
from backend.rounds.quality.control_arm import control_arm
from backend.rounds.quality.unbiased_risk import unbiased_accuracy
from backend.store.texts import LabeledText
from backend.targets import Target, offered

_ENOUGH = 20  # held-out texts to tune on; with fewer, thresholds and temperatures keep their defaults
_WITH_CONFIDENCE = ("classification", "multilabel", "pairwise")
Array = NDArray[Any]


def evaluate(run: ProjectRun) -> None:
    """Score the adapter on the held-out labels, by control, and write it to the round; None without adapter or labels.

    Ground truth that measures is scored separately, because people chose it, or instead of held-out labels if there
    are none. Tunes thresholds of several labels and temperatures of confidences, which are stored with the adapter.
    """
    assert run.number is not None
    run.rounds.set(run.number, evaluation=_evaluation(run))


def _evaluation(run: ProjectRun) -> dict[str, Any] | None:
    adapter = run.rounds.adapter(run.version)
    if adapter is None:
        return None
    targets, tasks = learned(adapter), run.tasks
    held_out, truths = (
        [e for e in examples if offered(targets, e.values)] for examples in (tasks.labeled(audit=True), tasks.truths())
    )
    examples = [*held_out, *truths]
    if not examples:
        return None
    learner = load(run, run.version)
    try:
        outputs = learner.predict([example.text for example in examples])
        likelihoods = {t.name: _nll(learner, t, held_out or truths) for t in targets if t.kind == "generation"}
    finally:
        learner.unload()
    controls = {control.name: control for control in run.spec.controls}
    found, tuned = {}, []
    for target in targets:
        ours, theirs = _rows(target, held_out), [len(held_out) + row for row in _rows(target, truths)]
        if run.options.audit_share == 0.0 and not ours:
            ours, theirs = theirs, []  # otherwise held-out labels will follow, and ground truth is a biased sample
        control = controls.get(target.name)
        if ours and control is not None and control.target.kind == target.kind:
            target, measured = _measured(control, target, outputs, examples, ours)
            measured |= likelihoods.get(target.name, {})
            if theirs:
                measured["ground_truth"], _, _ = _score(control, [target] * len(theirs), outputs, examples, theirs)
            if (saved := control_arm(run, target)) is not None:
                measured["control_arm"] = saved
            found[target.name] = measured
        tuned.append(target)
    for name, of_name in unbiased_accuracy(run).items():
        if name in found:
            found[name]["corrected"] = of_name
    run.rounds.set_targets(run.version, [target.as_json() for target in tuned])
    skipped = tasks.count_skipped(audit=True)
    return {"labels": len(held_out or truths), "skipped": skipped, "controls": found} if found else None


def _rows(target: Target, examples: Sequence[LabeledText]) -> list[int]:
    return [row for row, example in enumerate(examples) if offered([target], example.values)]


def _nll(learner: Learner, target: Target, held_out: Sequence[LabeledText]) -> dict[str, float]:
    """The mean over the held-out answers, in nats per word piece; empty without any."""
    given = [(e.text, e.values[target.name]) for e in held_out if target.name in offered([target], e.values)]
    return {"nll": float(learner.nll(target, *zip(*given, strict=True)).mean())} if given else {}


def _measured(
    control: Control, target: Target, outputs: Arrays, held_out: Sequence[LabeledText], rows: Sequence[int]
) -> tuple[Target, dict[str, Any]]:
    """The target with its threshold and temperature tuned, and its score."""
    truth = [held_out[row].values[target.name] for row in rows]
    of_rows = [target] * len(rows)
    probs = outputs.get(f"{target.name}/probs", np.empty(0))[list(rows)] if target.kind in _WITH_CONFIDENCE else None
    if probs is not None and len(rows) >= _ENOUGH:
        of_rows = _cross_tuned(target, probs, truth)
        target = _tuned(target, probs, truth)
    found, sure, right = _score(control, of_rows, outputs, held_out, rows)
    if target.kind == "multilabel" and probs is not None:
        found |= _reliability(*_decisions(of_rows, probs, truth))
    elif probs is not None:
        found |= _reliability(sure, right)
    return target, found


def _score(
    control: Control, of_rows: Sequence[Target], outputs: Arrays, examples: Sequence[LabeledText], rows: Sequence[int]
) -> tuple[dict[str, Any], Array, NDArray[np.bool_]]:
    """The score of these rows, the confidence of each prediction, and whether it is right: (N,) each."""
    kind = BY_KIND[of_rows[0].kind]
    truth = [examples[row].values[of_rows[0].name] for row in rows]
    predicted = [
        kind.predicted(control, known, output_of(known, outputs, row), examples[row].text)
        for row, known in zip(rows, of_rows, strict=True)
    ]
    right = np.array([value == true for (value, _), true in zip(predicted, truth, strict=True)])
    sure = np.array([float(confidence or 0.0) for _, confidence in predicted])
    return measure(of_rows[0].kind, truth, [value for value, _ in predicted]), sure, right


def _tuned(target: Target, probs: Array, truth: Sequence[Any]) -> Target:
    """The target with the threshold or temperature that fits these held-out labels best. probs: (N, C)."""
    if target.kind != "multilabel":
        classes = np.array([target.classes.index(value) for value in truth])
        return replace(target, temperature=best_temperature(probs, classes))
    present = _present(target, truth)
    temperature = best_temperature(two_sided(probs).reshape(-1, 2), (~present).ravel().astype(np.int64))
    return replace(target, threshold=best_threshold(probs, present), temperature=temperature)


def _cross_tuned(target: Target, probs: Array, truth: Sequence[Any]) -> list[Target]:
    """The target for each text, tuned on the other half of the texts, so that no text is scored with its own tuning."""
    halves = [
        _tuned(target, probs[1 - first :: 2], [truth[row] for row in range(1 - first, len(truth), 2)])
        for first in (0, 1)
    ]
    return [halves[row % 2] for row in range(len(truth))]


def _present(target: Target, truth: Sequence[Any]) -> NDArray[np.bool_]:
    return np.array([[name in value for name in target.classes] for value in truth])


def _decisions(of_rows: Sequence[Target], probs: Array, truth: Sequence[Any]) -> tuple[Array, NDArray[np.bool_]]:
    """The confidence that each label of each text is present or absent, and whether that is right: (N · C,) each."""
    thresholds = np.array([[target.threshold] for target in of_rows])
    sure = np.stack([tempered(two_sided(row), target.temperature) for row, target in zip(probs, of_rows, strict=True)])
    shown = probs >= thresholds
    return np.where(shown, sure[..., 0], sure[..., 1]).ravel(), (shown == _present(of_rows[0], truth)).ravel()


def _reliability(confidence: Array, correct: NDArray[np.bool_]) -> dict[str, Any]:
    bins = reliability(confidence, correct)
    return {
        "calibration_error": calibration_error(bins), "by_chance": error_by_chance(bins), "reliability": bins
    }  # fmt: skip

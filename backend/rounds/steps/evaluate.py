"""Adapter → score on the held-out labels, which were neither selected nor trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.evaluation.bounds import ENOUGH
from backend.evaluation.calibration import (
    calibration_error,
    error_by_chance,
    reliability,
    tempered,
    two_sided,
)
from backend.evaluation.measures import measure
from backend.labelstudio.controls import BY_KIND
from backend.labelstudio.label_config.task_spec import Control
from backend.labelstudio.predictions import output_of
from backend.learners.base import Arrays, Learner
from backend.learners.kinds import output_names
from backend.learners.models.loading import is_served
from backend.rounds.adapters import learned, load
from backend.rounds.context import ProjectRun
from backend.rounds.quality import suggestions
from backend.rounds.quality.accuracy import accuracy
from backend.rounds.quality.control_arm import control_arm
from backend.rounds.quality.tuning import cross_tuned, present, tuned
from backend.rounds.quality.unbiased_risk import unbiased_accuracy
from backend.store.texts import LabeledText
from backend.targets import Target, offered

_WITH_CONFIDENCE = ("classification", "multilabel", "pairwise")
Array = NDArray[Any]


def evaluate(run: ProjectRun) -> None:
    """Score the adapter on the held-out labels, by control, and write it to the round; None without adapter or labels.

    Ground truth that measures is scored separately, because people chose it, or instead of held-out labels if there
    are none. Tunes thresholds of several labels and temperatures of confidences, which are stored with the adapter.
    Before, it decides which suggestions are shown.
    """
    assert run.number is not None
    suggestions.decide(run)
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
    outputs, likelihoods = _outputs(run, targets, examples, held_out or truths)
    skipped = tasks.count_skipped(audit=True)
    skipped_share = skipped / (len(held_out or truths) + skipped)
    controls = {control.name: control for control in run.spec.controls}
    found, learned_now = {}, []
    for target in targets:
        ours, theirs = _rows(target, held_out), [len(held_out) + row for row in _rows(target, truths)]
        if run.options.audit_share == 0.0 and not ours:
            ours, theirs = theirs, []  # otherwise held-out labels will follow, and ground truth is a biased sample
        control = controls.get(target.name)
        if ours and control is not None and control.target.kind == target.kind:
            target, measured, right = _measured(control, target, outputs, examples, ours)
            measured |= likelihoods.get(target.name, {})
            if "correct" in measured:
                everywhere = len(ours) == len(held_out)
                measured |= accuracy(
                    run, target, right, outputs[f"{target.name}/probs"][ours], skipped_share, everywhere=everywhere
                )
            if theirs:
                measured["ground_truth"], _, _ = _score(control, [target] * len(theirs), outputs, examples, theirs)
            if (saved := control_arm(run, target)) is not None:
                measured["control_arm"] = saved
            found[target.name] = measured
        learned_now.append(target)
    for name, of_name in unbiased_accuracy(run).items():
        if name in found:
            found[name]["corrected"] = of_name
    run.rounds.set_targets(run.version, [target.as_json() for target in learned_now])
    return {"labels": len(held_out or truths), "skipped": skipped, "controls": found} if found else None


def _outputs(
    run: ProjectRun, targets: Sequence[Target], examples: Sequence[LabeledText], measured: Sequence[LabeledText]
) -> tuple[Arrays, dict[str, dict[str, float]]]:
    """The adapter's outputs for each example, mostly as the scores have them, and by target the likelihood of answers.

    measured: the examples with these answers.
    """
    there, outputs = run.scores.found(output_names(targets), np.array([each.digest for each in examples]))
    served = is_served(run.options.base_model)  # its server does not return the likelihood of given answers
    answers = [target for target in targets if target.kind == "generation" and not served]
    if there.all() and not answers:
        return outputs, {}
    learner = load(run, run.version)
    try:
        if not there.all():
            outputs = learner.predict([example.text for example in examples])
        return outputs, {target.name: _nll(learner, target, measured) for target in answers}
    finally:
        learner.unload()


def _rows(target: Target, examples: Sequence[LabeledText]) -> list[int]:
    return [row for row, example in enumerate(examples) if offered([target], example.values)]


def _nll(learner: Learner, target: Target, held_out: Sequence[LabeledText]) -> dict[str, float]:
    """The mean over the held-out answers, in nats per word piece; empty without any."""
    given = [(e.text, e.values[target.name]) for e in held_out if target.name in offered([target], e.values)]
    return {"nll": float(learner.nll(target, *zip(*given, strict=True)).mean())} if given else {}


def _measured(
    control: Control, target: Target, outputs: Arrays, held_out: Sequence[LabeledText], rows: Sequence[int]
) -> tuple[Target, dict[str, Any], NDArray[np.bool_]]:
    """The target with its threshold and temperature tuned, its score, and which predictions are right: (N,)."""
    truth = [held_out[row].values[target.name] for row in rows]
    of_rows = [target] * len(rows)
    probs = outputs.get(f"{target.name}/probs", np.empty(0))[list(rows)] if target.kind in _WITH_CONFIDENCE else None
    if probs is not None and len(rows) >= ENOUGH:
        of_rows = cross_tuned(target, probs, truth)
        target = tuned(target, probs, truth)
    found, sure, right = _score(control, of_rows, outputs, held_out, rows)
    if target.kind == "multilabel" and probs is not None:
        found |= _reliability(*_decisions(of_rows, probs, truth))
    elif probs is not None:
        found |= _reliability(sure, right)
    return target, found, right


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
    return measure(of_rows[0], truth, [value for value, _ in predicted]), sure, right


def _decisions(of_rows: Sequence[Target], probs: Array, truth: Sequence[Any]) -> tuple[Array, NDArray[np.bool_]]:
    """The confidence that each label of each text is present or absent, and whether that is right: (N · C,) each."""
    thresholds = np.array([[target.threshold] for target in of_rows])
    sure = np.stack([tempered(two_sided(row), target.temperature) for row, target in zip(probs, of_rows, strict=True)])
    shown = probs >= thresholds
    return np.where(shown, sure[..., 0], sure[..., 1]).ravel(), (shown == present(of_rows[0], truth)).ravel()


def _reliability(confidence: Array, correct: NDArray[np.bool_]) -> dict[str, Any]:
    bins = reliability(confidence, correct)
    return {
        "calibration_error": calibration_error(bins), "by_chance": error_by_chance(bins), "reliability": bins
    }  # fmt: skip

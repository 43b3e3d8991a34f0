"""Adapter → how good it is, on the held-out labels, which were neither selected nor trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.labelstudio.controls import BY_KIND
from backend.labelstudio.predictions import output_of
from backend.labelstudio.task_spec import Control
from backend.learners.learner import Arrays, Learner
from backend.rounds.context import Context, learned, spec_of
from backend.rounds.measures import best_threshold, measure
from backend.rounds.train import load
from backend.store.tasks import LabeledText
from backend.targets import Target, offered

_ENOUGH = 20  # held-out texts to tune a threshold on; before, it stays where it is by default


def evaluate(context: Context, project_id: int, version: int, *, halvings: int = 0) -> dict[str, Any] | None:
    """Score an adapter version on the held-out labels, by control; None while there is no adapter or no such label.

    On the way the threshold of each multi-label target is tuned and noted with the adapter.
    halvings: how often to halve the batches.
    """
    adapter = context.store.rounds.adapter(project_id, version)
    if adapter is None:
        return None
    spec, targets = spec_of(context.project(project_id)), learned(adapter)
    held_out = [e for e in context.store.tasks.labeled(project_id, audit=True) if offered(targets, e.values)]
    if not held_out:
        return None
    with context.computing:
        learner = load(context, project_id, version, halvings=halvings)
        try:
            outputs = learner.predict([example.text for example in held_out])
            likelihoods = {t.name: _nll(learner, t, held_out) for t in targets if t.kind == "generation"}
        finally:
            learner.unload()
    controls = {control.name: control for control in spec.controls}
    found, tuned = {}, []
    for target in targets:
        rows = [row for row, example in enumerate(held_out) if target.name in offered([target], example.values)]
        control = controls.get(target.name)
        if rows and control is not None and control.target.kind == target.kind:
            target, found[target.name] = _measured(control, target, outputs, held_out, rows)
            found[target.name] |= likelihoods.get(target.name, {})
        tuned.append(target)
    context.store.rounds.set_targets(project_id, version, [target.as_json() for target in tuned])
    return {"labels": len(held_out), "controls": found} if found else None


def _nll(learner: Learner, target: Target, held_out: Sequence[LabeledText]) -> dict[str, float]:
    """The mean over the held-out answers, in nats a word piece; nothing without any."""
    given = [(e.text, e.values[target.name]) for e in held_out if target.name in offered([target], e.values)]
    return {"nll": float(learner.nll(target, *zip(*given, strict=True)).mean())} if given else {}


def _measured(
    control: Control, target: Target, outputs: Arrays, held_out: Sequence[LabeledText], rows: Sequence[int]
) -> tuple[Target, dict[str, Any]]:
    """The target with its threshold tuned, and its score."""
    truth = [held_out[row].values[target.name] for row in rows]
    of_rows = [target] * len(rows)
    if target.kind == "multilabel" and len(rows) >= _ENOUGH:
        probs = outputs[f"{target.name}/probs"][list(rows)]
        present = np.array([[name in value for name in target.classes] for value in truth])
        of_rows = [replace(target, threshold=each) for each in _cross_fitted(probs, present)]
        target = replace(target, threshold=best_threshold(probs, present))
    kind = BY_KIND[target.kind]
    predicted = [
        kind.predicted(control, known, output_of(target, outputs, row), held_out[row].text)[0]
        for row, known in zip(rows, of_rows, strict=True)
    ]
    return target, measure(target.kind, truth, predicted)


def _cross_fitted(probs: NDArray[Any], present: NDArray[np.bool_]) -> NDArray[np.float64]:
    """A threshold for each text, tuned on the other half: on its own, a score would praise its own tuning. (N,)."""
    half = np.arange(len(probs)) % 2 == 0
    thresholds = np.full(len(probs), 0.5)
    for mine in (half, ~half):
        if (~mine).any():
            thresholds[mine] = best_threshold(probs[~mine], present[~mine])
    return thresholds

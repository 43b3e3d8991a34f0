"""Adapter → how good it is: accuracy on the held-out labels, which were neither selected nor trained on."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import ndtri
from sklearn.metrics import f1_score

from backend.rounds.context import Context, spec_of
from backend.rounds.train import load


def evaluate(context: Context, project_id: int, version: int) -> dict[str, Any] | None:
    """Score an adapter version on the held-out labels; None while there is no adapter or no such label."""
    held_out = context.store.tasks.labeled(project_id, audit=True)
    offered = set(spec_of(context.project(project_id)).classes)
    held_out = [example for example in held_out if example.label in offered]
    if version == 0 or not held_out:
        return None
    with context.computing:
        classifier = load(context, project_id, version)
        try:
            probs = classifier.predict([example.text for example in held_out])
        finally:
            classifier.unload()
    predicted = [classifier.classes[row] for row in probs.argmax(axis=1)]
    truth = [example.label for example in held_out]
    correct = int(np.sum(np.array(predicted) == np.array(truth)))
    low, high = wilson(correct, len(truth))
    return {
        "labels": len(truth),
        "correct": correct,
        "accuracy": correct / len(truth),
        "low": low,
        "high": high,
        "macro_f1": float(f1_score(truth, predicted, labels=sorted(set(truth)), average="macro", zero_division=0.0)),
    }


def wilson(correct: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """The score interval of a proportion (Wilson, JASA 1927): sensible also for few labels and near 0 and 1."""
    z = float(ndtri(0.5 + confidence / 2))
    share = correct / total
    center = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * np.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return max(0.0, float(center - half)), min(1.0, float(center + half))

"""Labels saved by selection so far, estimated with linear heads on the base model's embeddings, without training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.evaluation.control_arm import ENOUGH, MOST, Fit, compare
from backend.learners.heads import linear
from backend.rounds.context import ProjectRun
from backend.rounds.embeddings import classified
from backend.store.texts import LabeledText
from backend.targets import Target, offered


def control_arm(run: ProjectRun, target: Target) -> dict[str, Any] | None:
    """The comparison for a target with one class a text; None with too few labels."""
    if target.kind != "classification":
        return None
    held_out = _of(target, run.tasks.labeled(audit=True))
    chosen = _of(target, run.tasks.chosen())[: min(len(held_out) // 2, MOST)]
    if len(held_out) < ENOUGH or not chosen:
        return None
    taught, measured = classified(run, target, chosen, held_out)
    return compare(taught, measured, _fitting(len(target.classes)))


def _of(target: Target, examples: Sequence[LabeledText]) -> list[LabeledText]:
    return [example for example in examples if offered([target], example.values)]


def _fitting(classes: int) -> Fit:
    def fit(vectors: NDArray[np.float32], targets: NDArray[np.int64]) -> Any:
        head = linear.fit(vectors, targets, classes)
        return lambda others: head.alone(others).argmax(axis=1)

    return fit

"""What choosing has saved so far, as a linear head on the base model's embeddings tells it: seconds, not trainings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.evaluation.control_arm import ENOUGH, MOST, Fit, compare
from backend.learners import heads
from backend.rounds.context import Context
from backend.rounds.vectors import classified
from backend.store.texts import LabeledText
from backend.targets import Target, offered


def control_arm(context: Context, project_id: int, target: Target, *, halvings: int = 0) -> dict[str, Any] | None:
    """What `compare` finds for a target with one class a text; None if that is not yet known.

    halvings: how often to halve the batches that are embedded at once.
    """
    if target.kind != "classification":
        return None
    held_out = _of(target, context.store.tasks.labeled(project_id, audit=True))
    chosen = _of(target, context.store.tasks.chosen(project_id))[: min(len(held_out) // 2, MOST)]
    if len(held_out) < ENOUGH or not chosen:
        return None
    taught, measured = classified(context, project_id, target, chosen, held_out, halvings=halvings)
    return compare(taught, measured, _fitting(len(target.classes)))


def _of(target: Target, examples: Sequence[LabeledText]) -> list[LabeledText]:
    return [example for example in examples if offered([target], example.values)]


def _fitting(classes: int) -> Fit:
    def fit(vectors: NDArray[np.float32], targets: NDArray[np.int64]) -> Any:
        head = heads.fit(vectors, targets, classes)
        return lambda others: head.alone(others).argmax(axis=1)

    return fit

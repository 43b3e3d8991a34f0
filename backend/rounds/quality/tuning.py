"""Thresholds and temperatures of an adapter's targets, tuned on held-out labels; below `ENOUGH` the defaults stay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.evaluation.calibration import best_temperature, two_sided
from backend.evaluation.measures import best_threshold
from backend.targets import Target

Array = NDArray[Any]


def tuned(target: Target, probs: Array, truth: Sequence[Any]) -> Target:
    """The target with the threshold or temperature that fits these held-out labels best. probs: (N, C)."""
    if target.kind != "multilabel":
        classes = np.array([target.classes.index(value) for value in truth])
        return replace(target, temperature=best_temperature(probs, classes))
    there = present(target, truth)
    temperature = best_temperature(two_sided(probs).reshape(-1, 2), (~there).ravel().astype(np.int64))
    return replace(target, threshold=best_threshold(probs, there), temperature=temperature)


def cross_tuned(target: Target, probs: Array, truth: Sequence[Any]) -> list[Target]:
    """The target for each text, tuned on the other half of the texts, so that no text is scored with its own tuning."""
    halves = [
        tuned(target, probs[1 - first :: 2], [truth[row] for row in range(1 - first, len(truth), 2)])
        for first in (0, 1)
    ]
    return [halves[row % 2] for row in range(len(truth))]


def present(target: Target, truth: Sequence[Any]) -> NDArray[np.bool_]:
    """Which labels each text has: (N, C)."""
    return np.array([[name in value for name in target.classes] for value in truth])

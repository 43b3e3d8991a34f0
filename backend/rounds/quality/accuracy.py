"""Accuracy of the round's adapter by every estimator, and the interval of the one that rounds act on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.evaluation.bounds import interval
from backend.evaluation.estimators import ESTIMATORS, Estimate, Sample
from backend.rounds.context import ProjectRun
from backend.targets import Target

_ACTED_ON = "prediction_powered"


def accuracy(
    run: ProjectRun, target: Target, right: NDArray[np.bool_], probs: NDArray[Any], skipped: int
) -> dict[str, Any]:
    """`score` with its interval `low` to `high`, `effective` labels, and the score by each of the `estimates`.

    right: whether each held-out label was predicted, (N,). probs: the adapter's probabilities of these texts, (N, C).
    skipped: number of held-out tasks that annotators skipped.
    """
    there, others = run.scores.found({name := f"{target.name}/probs"}, run.tasks.listed_waiting(audit=True).digests)
    unlabeled = others[name].max(axis=1) if there.any() else np.empty(0)
    sample = Sample(right, probs.max(axis=1).astype(np.float64), unlabeled.astype(np.float64))
    estimates = {each: estimator(sample) for each, estimator in ESTIMATORS.items()}
    score, effective = estimates[_ACTED_ON]
    low, high = interval(score, effective, _measurement(run, target.name, len(right)), skipped / (len(right) + skipped))
    return {"score": score, "low": low, "high": high, "effective": effective,
            "estimates": {each: _as_json(found) for each, found in estimates.items()}}  # fmt: skip


def _measurement(run: ProjectRun, name: str, labels: int) -> int:
    """Which measurement of this adapter this is, counted by different numbers of held-out labels; 1 is the first."""
    former = [each for each in run.rounds.all() if each.state == "done" and each.adapter == run.version]
    measured: list[Mapping[str, Any]] = [(each.evaluation or {}).get("controls", {}).get(name) or {} for each in former]
    return len({labels, *(each["labels"] for each in measured if each)})


def _as_json(estimate: Estimate) -> dict[str, float]:
    return dict(estimate._asdict())

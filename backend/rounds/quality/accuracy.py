"""Accuracy of the round's adapter by every estimator, with the interval of the one that is shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.evaluation.bounds import interval
from backend.evaluation.estimators import ESTIMATORS, Estimate, Sample
from backend.rounds.context import ProjectRun
from backend.rounds.quality.stability import STOP_SET
from backend.store.texts import held_out_order
from backend.targets import Target

_SHOWN = "prediction_powered"


def accuracy(
    run: ProjectRun, target: Target, right: NDArray[np.bool_], probs: NDArray[Any], skipped: float, *, everywhere: bool
) -> dict[str, Any]:
    """`score` with its interval `low` to `high`, `effective` labels, and the score by each of the `estimates`.

    right: whether each held-out label was predicted, (N,). probs: the adapter's probabilities of these texts, (N, C).
    skipped: share of the held-out tasks that annotators skipped. everywhere: whether every labeled held-out task has a
    label of this control; otherwise the tasks without a label are others than those with one.
    """
    others = _unlabeled(run, f"{target.name}/probs") if everywhere else np.empty(0)
    sample = Sample(right, probs.max(axis=1).astype(np.float64), others)
    estimates = {each: estimator(sample) for each, estimator in ESTIMATORS.items()}
    score, effective = estimates[_SHOWN]
    low, high = interval(score, effective, _measurement(run, target.name, len(right)), skipped)
    return {"score": score, "low": low, "high": high, "effective": effective,
            "estimates": {each: _as_json(found) for each, found in estimates.items()}}  # fmt: skip


def _unlabeled(run: ProjectRun, name: str) -> NDArray[np.float64]:
    """The confidence on held-out tasks without a label: (M,). Empty unless all of a random sample are scored."""
    waiting = run.tasks.listed_waiting(audit=True)
    sample = np.isin(waiting.ids, held_out_order(waiting.ids.tolist(), run.options.seed)[:STOP_SET])
    there, found = run.scores.found({name}, waiting.digests[sample])
    return found[name].max(axis=1).astype(np.float64) if len(there) and there.all() else np.empty(0)


def _measurement(run: ProjectRun, name: str, labels: int) -> int:
    """Which measurement of this adapter this is, counted by different numbers of held-out labels; 1 is the first."""
    former = [each for each in run.rounds.all() if each.state == "done" and each.adapter == run.version]
    measured: list[Mapping[str, Any]] = [(each.evaluation or {}).get("controls", {}).get(name) or {} for each in former]
    return len({labels, *(each["labels"] for each in measured if each)})


def _as_json(estimate: Estimate) -> dict[str, float]:
    return dict(estimate._asdict())

"""Strategies compared with random labeling: areas under learning curves, labels saved, and what is proven."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression
from scipy.stats import t as student

from backend.simulation.runs import Run

Array = NDArray[np.float64]
_RESAMPLES = 500
_SEEDS = 3  # from which on an interval is shown
_RISK = 0.05


def summary(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """One row per strategy, the highest area under the learning curve first. Compared over the seeds of both."""
    by_strategy: dict[str, list[Run]] = {}
    for run in runs:
        by_strategy.setdefault(run.strategy, []).append(run)
    baseline = {run.seed: run for run in by_strategy.get("random", [])}
    tests = len(by_strategy.keys() - {"random"})
    rows = [_row(name, of, baseline, tests) for name, of in by_strategy.items()]
    return sorted(rows, key=lambda row: -row["aulc_mean"])


def _row(name: str, runs: Sequence[Run], baseline: dict[int, Run], tests: int) -> dict[str, Any]:
    areas = [aulc(run.curve) for run in runs]
    pairs = [(run, baseline[run.seed]) for run in runs if run.seed in baseline]
    over = [aulc(run.curve) - aulc(other.curve) for run, other in pairs]
    spread = _sd(over)
    error = None if spread is None else spread / len(over) ** 0.5
    saved = _saved(pairs) if pairs else {"labels_to_random": None, "saved": None, "saved_low": None, "saved_high": None}
    return {
        "strategy": name,
        "seeds": len(runs),
        "aulc_mean": statistics.mean(areas),
        "aulc_sd": _sd(areas),
        "over_random_mean": statistics.mean(over) if over else None,  # of the differences per seed
        "over_random_se": error,
        "proven": 0 if name == "random" or error is None else _proven(statistics.mean(over), error, len(over), tests),
        "last_accuracy": statistics.mean(run.curve[-1]["accuracy"] for run in runs),
        "last_macro_f1": statistics.mean(run.curve[-1]["macro_f1"] for run in runs),
        **saved,
        "seconds_scoring": statistics.median(run.seconds_scoring for run in runs),
        "seconds_choosing": statistics.median(run.seconds_choosing for run in runs),
    }


def _proven(mean: float, error: float, seeds: int, tests: int) -> int:
    """1 if a strategy is better than random, -1 if worse, 0 if neither is proven: paired t-test at 5 % in all.

    tests: number of strategies that are compared; they share the risk (Bonferroni), or of many one would win by chance.
    """
    if error == 0.0:  # equal differences come from a small test set, and prove nothing
        return 0
    least = student.ppf(1 - _RISK / (2 * tests), seeds - 1)
    return int(np.sign(mean)) if abs(mean) > least * error else 0


def _saved(pairs: Sequence[tuple[Run, Run]]) -> dict[str, float | None]:
    """Labels to random's final accuracy, and the share of random's own labels to it that this saves.

    Both are where the mean curve first gets there, as a curve that never falls (isotonic regression): random's does so
    before its end if it has stopped rising, and that is no merit of a strategy. `saved_low` to `saved_high`: bootstrap
    interval over the seeds (Efron 1979).
    """
    labels = [point["labels"] for point in pairs[0][0].curve]
    ours, theirs = (np.array([[point["accuracy"] for point in pair[side].curve] for pair in pairs]) for side in (0, 1))
    needed, share = _share(labels, ours.mean(axis=0), theirs.mean(axis=0))
    found: dict[str, float | None] = {
        "labels_to_random": needed, "saved": share, "saved_low": None, "saved_high": None
    }  # fmt: skip
    if len(pairs) >= _SEEDS:
        rng = np.random.default_rng(0)
        drawn = [rng.integers(0, len(pairs), len(pairs)) for _ in range(_RESAMPLES)]
        shares = [_share(labels, ours[rows].mean(axis=0), theirs[rows].mean(axis=0))[1] for rows in drawn]
        known = np.array([-np.inf if each is None else each for each in shares])
        low, high = np.quantile(known, [_RISK / 2, 1 - _RISK / 2], method="nearest")
        found |= {"saved_low": _finite(low), "saved_high": _finite(high)}
    return found


def _share(labels: Sequence[float], ours: Array, theirs: Array) -> tuple[float | None, float | None]:
    ours, theirs = (isotonic_regression(curve).x for curve in (ours, theirs))
    needed = labels_to_reach(float(theirs[-1]), labels, ours.tolist())
    of_random = labels_to_reach(float(theirs[-1]), labels, theirs.tolist())
    assert of_random is not None
    return needed, None if needed is None else 1 - needed / of_random


def aulc(curve: Sequence[dict[str, float]]) -> float:
    """Area under accuracy over labels (trapezoid rule), divided by the range of labels: a mean accuracy."""
    labels, accuracy = [point["labels"] for point in curve], [point["accuracy"] for point in curve]
    if labels[-1] == labels[0]:
        return accuracy[0]
    return float(np.trapezoid(accuracy, labels) / (labels[-1] - labels[0]))


def labels_to_reach(target: float, labels: Sequence[float], accuracy: Sequence[float]) -> float | None:
    """Labels at which a curve first reaches the target, linearly interpolated; None if it never does."""
    for place, value in enumerate(accuracy):
        if value >= target:
            if place == 0:
                return labels[0]
            before = accuracy[place - 1]
            share = (target - before) / (value - before)
            return labels[place - 1] + share * (labels[place] - labels[place - 1])
    return None


def _finite(share: float) -> float | None:
    """None: random's final accuracy is not reached."""
    return float(share) if np.isfinite(share) else None


def _sd(values: Sequence[float]) -> float | None:
    """Sample standard deviation; None for fewer than two values."""
    return statistics.stdev(values) if len(values) > 1 else None

"""Forecast the labels needed until the stopping rule confirms the target, from the learning curve so far.

Model: errors fall as a power law towards a floor (Hestness et al., Deep Learning Scaling is Predictable, Empirically,
2017, section 2). Such curves are drawn by their posterior probability given the held-out scores, and labeling is
simulated along each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from backend.evaluation.bounds import due, level, lower_end

Array = NDArray[np.float64]

ENOUGH = 4  # minimum number of points of the curve
_CURVES = 200  # curves drawn
_STEP = 0.02  # minimum size of a simulated round, relative to the labels so far
_FLOORS = np.array([0.0, *np.geomspace(0.005, 0.4, 15)])
_FIRST = np.linspace(0.02, 0.98, 49)  # error above the floor at the first point
_POWERS = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8, 1.0, 1.3, 1.7])


class Point(NamedTuple):
    """Held-out score of one adapter."""

    examples: int  # training labels
    labels: float  # held-out labels, at least 1
    score: float  # from 0 to 1


class Forecast(NamedTuple):
    """Labels still needed, held-out ones included: median and 80 % interval."""

    labels: int
    low: int
    high: int | None  # None: more than there are tasks


class Plan(NamedTuple):
    """Settings and state of labeling from now on."""

    target: float
    risk: float
    last_look: int  # held-out labels at the last check
    batch: int  # labels per round
    share: float  # fraction of them that is held out
    near: float  # that fraction once the score has reached the target
    candidates: int  # unlabeled tasks for training
    held_out: int  # unlabeled tasks for measuring


def forecast(points: Sequence[Point], plan: Plan) -> Forecast | None:
    """The forecast. None below four points, or if more than half of the drawn curves never reach the target."""
    if len(points) < ENOUGH:
        return None
    rng = np.random.default_rng(0)
    needed = np.array([_labels_needed(curve, points[-1], plan, rng) for curve in _drawn_curves(points, rng)])
    low, middle, high = np.quantile(needed, [0.1, 0.5, 0.9], method="higher")
    if not np.isfinite(middle):
        return None
    return Forecast(int(middle), int(low), int(high) if np.isfinite(high) else None)


class _Curve(NamedTuple):
    floor: float
    first: float
    power: float
    start: float  # examples of the first point

    def score(self, examples: float) -> float:
        return 1.0 - self.floor - self.first * math.pow(examples / self.start, -self.power)


def _drawn_curves(points: Sequence[Point], rng: np.random.Generator) -> list[_Curve]:
    """Curves drawn from their posterior under a uniform prior.

    The points share most of their held-out labels, so together they weigh as many labels as the last point has.
    """
    examples, labels, scores = (np.array(each, np.float64) for each in zip(*points, strict=True))
    floors, firsts, powers = (each.ravel() for each in np.meshgrid(_FLOORS, _FIRST, _POWERS, indexing="ij"))
    errors = floors[:, None] + firsts[:, None] * (examples / examples[0]) ** -powers[:, None]
    errors = errors.clip(1e-4, 1 - 1e-4)
    weights = labels * labels[-1] / labels.sum()
    surprise = -(weights * ((1 - scores) * np.log(errors) + scores * np.log1p(-errors))).sum(axis=1)
    likely = np.exp(surprise.min() - surprise)
    drawn = rng.choice(len(likely), _CURVES, p=likely / likely.sum())
    return [_Curve(float(floors[i]), float(firsts[i]), float(powers[i]), float(examples[0])) for i in drawn]


def _labels_needed(curve: _Curve, now: Point, plan: Plan, rng: np.random.Generator) -> float:
    """Labels until the lower bound reaches the target if this is the curve; infinite if the tasks run out before."""
    examples, measured, last_look = float(now.examples), float(now.labels), plan.last_look
    excess = now.score * now.labels - curve.score(examples) * now.labels  # constant for the measured texts
    right_of_new, new = 0.0, 0.0
    left, to_measure = float(plan.candidates), float(plan.held_out)
    total = 0.0
    while left > 0 or to_measure > 0:
        score = curve.score(examples)
        near = excess + score * measured + right_of_new >= plan.target * (measured + new)
        step = max(plan.batch, _STEP * (examples + new))  # several rounds at once where many labels are needed
        fresh = min(to_measure, step * (plan.near if near else plan.share))
        learned = min(left, step - fresh)
        if fresh + learned < 1e-9:
            break
        examples, new = examples + learned, new + fresh
        left, to_measure, total = left - learned, to_measure - fresh, total + fresh + learned
        score = curve.score(examples)
        right_of_new += score * fresh + rng.normal() * math.sqrt(max(0.0, score * (1 - score)) * fresh)
        labels = int(measured + new)
        if due(labels, last_look):
            found = min(1.0, max(0.0, (excess + score * measured + right_of_new) / (measured + new)))
            if lower_end(found, labels, level(labels, last_look, plan.risk)) >= plan.target:
                return total
            last_look = labels
    return np.inf

"""How many labels are still needed until the target is surely reached, by the learning curve so far.

Errors are taken to fall as a power law towards a floor (Hestness et al., Deep Learning Scaling is Predictable,
Empirically, 2017, section 2). Every such curve is weighed by how likely it makes the held-out scores, and played on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from backend.evaluation.stopping import due, level, lower_end

Array = NDArray[np.float64]

ENOUGH = 4  # points of the curve
_CURVES = 200  # that are played on
_STEP = 0.02  # of the labels so far, at least, from round to round
_FLOORS = np.array([0.0, *np.geomspace(0.005, 0.4, 15)])
_FIRST = np.linspace(0.02, 0.98, 49)  # error at the first point, above the floor
_POWERS = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8, 1.0, 1.3, 1.7])


class Point(NamedTuple):
    """What was known of one adapter."""

    examples: int  # that it learned from
    labels: float  # held-out ones, at least 1
    score: float  # from 0 to 1


class Forecast(NamedTuple):
    """Labels still needed, held-out ones included: the median, and where it is in eight of ten cases."""

    labels: int
    low: int
    high: int | None  # None: more than there are


class Plan(NamedTuple):
    """How labeling goes on."""

    target: float
    risk: float
    last_look: int  # held-out labels at it
    batch: int  # labels a round
    share: float  # of them that are held out
    near: float  # and from the target on
    candidates: int  # tasks that are left to learn from
    held_out: int  # and to measure with


def forecast(points: Sequence[Point], plan: Plan) -> Forecast | None:
    """None while it is unknown: below four points, or where more than half of the likely curves never get there."""
    if len(points) < ENOUGH:
        return None
    rng = np.random.default_rng(0)
    needed = np.array([_played(curve, points[-1], plan, rng) for curve in _likely(points, rng)])
    low, middle, high = np.quantile(needed, [0.1, 0.5, 0.9], method="higher")
    if not np.isfinite(middle):
        return None
    return Forecast(int(middle), int(low), int(high) if np.isfinite(high) else None)


class _Curve(NamedTuple):
    floor: float
    first: float
    power: float
    start: float  # examples of the first point

    def score(self, examples: Array | float) -> Array:
        return np.asarray(1.0 - self.floor - self.first * (np.asarray(examples) / self.start) ** -self.power)


def _likely(points: Sequence[Point], rng: np.random.Generator) -> list[_Curve]:
    """Curves drawn by their posterior probability, all alike beforehand.

    The points share most of their held-out labels, so that together they count as many as the last one has.
    """
    examples, labels, scores = (np.array(each, np.float64) for each in zip(*points, strict=True))
    floors, firsts, powers = (each.ravel() for each in np.meshgrid(_FLOORS, _FIRST, _POWERS, indexing="ij"))
    errors = floors[:, None] + firsts[:, None] * (examples / examples[0]) ** -powers[:, None]
    errors = errors.clip(1e-4, 1 - 1e-4)
    weights = labels * labels[-1] / labels.sum()
    surprise = -(weights * ((1 - scores) * np.log(errors) + scores * np.log1p(-errors))).sum(axis=1)
    likely = np.exp(surprise.min() - surprise)
    drawn = rng.choice(len(likely), _CURVES, p=likely / likely.sum())
    return [_Curve(floors[i], firsts[i], powers[i], float(examples[0])) for i in drawn]


def _played(curve: _Curve, now: Point, plan: Plan, rng: np.random.Generator) -> float:
    """Labels until the target's lower end passes if this is the curve; infinite if tasks run out before."""
    examples, measured, looked = float(now.examples), float(now.labels), plan.last_look
    lucky = now.score * now.labels - float(curve.score(examples)) * now.labels  # which stays so with these texts
    right_of_new, new = 0.0, 0.0
    left, to_measure = float(plan.candidates), float(plan.held_out)
    total = 0.0
    while left > 0 or to_measure > 0:
        score = float(curve.score(examples))
        near = lucky + score * measured + right_of_new >= plan.target * (measured + new)
        step = max(plan.batch, _STEP * (examples + new))  # far ahead, rounds need not be told apart
        fresh = min(to_measure, step * (plan.near if near else plan.share))
        learned = min(left, step - fresh)
        if fresh + learned < 1e-9:
            break
        examples, new = examples + learned, new + fresh
        left, to_measure, total = left - learned, to_measure - fresh, total + fresh + learned
        score = float(curve.score(examples))
        right_of_new += score * fresh + rng.normal() * np.sqrt(max(0.0, score * (1 - score)) * fresh)
        labels = int(measured + new)
        if due(labels, looked):
            found = min(1.0, max(0.0, (lucky + score * measured + right_of_new) / (measured + new)))
            if lower_end(found, labels, level(labels, looked, plan.risk)) >= plan.target:
                return total
            looked = labels
    return np.inf

"""What is still needed, of curves that are known."""

from __future__ import annotations

import numpy as np
import pytest

from backend.evaluation.bounds import RISK, due, level, lower_end
from backend.evaluation.forecast import ENOUGH, Plan, Point, forecast

SIZES = (60, 120, 200, 300, 450)


def curve(examples: float) -> float:
    return 0.95 - 0.6 * (examples / 60) ** -0.8


def plan(target: float, **changed: object) -> Plan:
    return Plan(target, RISK, 0, 40, 0.1, 0.5, 20_000, 2_000)._replace(**changed)


def points(seed: int | None = None) -> list[Point]:
    """The curve as held-out labels show it, a ninth of the examples each, the same texts every time."""
    luck = np.random.default_rng(seed).random(SIZES[-1] // 9) if seed is not None else None
    found = []
    for size in SIZES:
        labels = size // 9
        score = curve(size) if luck is None else float((luck[:labels] < curve(size)).mean())
        found.append(Point(size, labels, score))
    return found


def stopped(target: float, seed: int) -> int:
    """The labels after the last point at which a project stops that goes on with half of its labels held out."""
    rng = np.random.default_rng(seed)
    luck = rng.random(4000)
    examples, labels, last, total = float(SIZES[-1]), SIZES[-1] // 9, 0, 0
    while True:
        score = float((luck[:labels] < curve(examples)).mean())
        share = 0.5 if score >= target else 0.1
        labels, examples, total = labels + round(40 * share), examples + 40 * (1 - share), total + 40
        if due(labels, last):
            if lower_end(float((luck[:labels] < curve(examples)).mean()), labels, level(labels, last)) >= target:
                return total
            last = labels


def test_it_is_unknown_before_there_is_a_curve() -> None:
    assert forecast(points()[: ENOUGH - 1], plan(0.8)) is None


def test_it_is_unknown_where_the_curve_bends_before_the_target() -> None:
    flat = [Point(size, size // 2, 0.7) for size in SIZES]
    assert forecast(flat, plan(0.95)) is None


def test_tasks_that_run_out_are_no_labels() -> None:
    assert forecast(points(), plan(0.9, candidates=10, held_out=0)) is None


@pytest.mark.parametrize("target", [0.8, 0.85])
def test_most_projects_end_where_it_says(target: float) -> None:
    held, known = 0, 0
    for seed in range(20):
        found = forecast(points(seed), plan(target))
        if found is not None:
            known += 1
            held += found.low <= stopped(target, seed) <= (found.high or np.inf)
    assert known >= 10
    assert held / known >= 0.7


def test_a_target_that_is_farther_takes_more_labels() -> None:
    near, far = forecast(points(), plan(0.75)), forecast(points(), plan(0.85))
    assert near is not None
    assert far is not None
    assert near.low <= near.labels < far.labels
    assert forecast(points(), plan(0.75)) == near, "the same every time"

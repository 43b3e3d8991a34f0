"""How many more labels the targets need, extrapolated from the rounds so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from backend.evaluation.forecast import ENOUGH, Plan, Point, forecast
from backend.rounds.context import ProjectRun
from backend.rounds.quality.goals import equivalent_labels, score_of_labels
from backend.rounds.quality.held_out import queue_share
from backend.store.sql.models import Round


def labels_needed(
    run: ProjectRun, rounds: Sequence[Round], test: Mapping[str, Any] | None
) -> tuple[dict[str, Any] | None, bool]:
    """Labels needed until every target is certainly reached; None if unknown, without a target, or if it is reached.

    Also whether most plausible learning curves of a control never lead there. test: the latest result of `goals.check`.
    """
    if test is None or test["reached"]:
        return None, False
    options, tasks, forecasts = run.options, run.tasks, []
    left = [tasks.count_waiting(audit=audit) for audit in (False, True)]
    for name, goal in test["goals"].items():
        points = _points(run, name, rounds)
        plan = Plan(goal, test["risk"], test["looked"], options.batch_size,
                    queue_share(options), queue_share(options, near=True), *left)  # fmt: skip
        if points is None:
            return None, False
        if (found := forecast(points, plan)) is None:
            return None, len(points) >= ENOUGH
        forecasts.append(found)
    return max(forecasts, key=lambda each: each.labels)._asdict(), False


def _points(run: ProjectRun, name: str, rounds: Sequence[Round]) -> list[Point] | None:
    """The learning curve of one control: a point for each adapter that learned from more labels than the one before."""
    points: list[Point] = []
    metric = None
    for each in rounds:
        measured = (each.evaluation or {}).get("controls", {}).get(name)
        number = run.version if each.state == "running" else each.adapter
        adapter = run.rounds.adapter(number)
        if measured is None or adapter is None or not adapter.examples or each.state in ("failed", "cancelled"):
            continue
        if measured["metric"] == "mae":
            return None
        if measured["metric"] != metric:  # labels of another kind
            points, metric = [], measured["metric"]
        while points and adapter.examples <= points[-1].examples:
            points.pop()  # measured again on more labels, or trained on fewer after annotations were deleted
        points.append(Point(adapter.examples, max(1.0, equivalent_labels(measured)), score_of_labels(measured)))
    return points

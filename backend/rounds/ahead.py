"""How many labels are still needed, from the rounds so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from backend.evaluation.forecast import Plan, Point, forecast
from backend.rounds.context import Context, options_of
from backend.rounds.targets import NEAR, labels_behind
from backend.store.models import Project, Round


def ahead(
    context: Context, project: Project, rounds: Sequence[Round], version: int, look: Mapping[str, Any] | None
) -> dict[str, Any] | None:
    """Labels still needed until every target is surely reached; None: unknown, none is asked for, or it is reached."""
    if look is None or look["reached"]:
        return None
    options, tasks, told = options_of(project), context.store.tasks, []
    left = [tasks.count_waiting(project.id, audit=audit) for audit in (False, True)]
    for name, goal in look["goals"].items():
        points = _points(context, project.id, name, rounds, version)
        plan = Plan(goal, look["risk"], look["looked"], options.batch_size,
                    options.audit_share, max(NEAR, options.audit_share), *left)  # fmt: skip
        if points is None or (found := forecast(points, plan)) is None:
            return None
        told.append(found)
    return max(told, key=lambda each: each.labels)._asdict()


def _points(context: Context, project_id: int, name: str, rounds: Sequence[Round], version: int) -> list[Point] | None:
    """The learning curve of one control: a point for each adapter that learned from more than the one before."""
    points: list[Point] = []
    for each in rounds:
        measured = (each.evaluation or {}).get("controls", {}).get(name)
        number = version if each.state == "running" else each.adapter
        adapter = context.store.rounds.adapter(project_id, number)
        if measured is None or adapter is None or not adapter.examples or each.state == "failed":
            continue
        if measured["metric"] == "mae":
            return None
        while points and adapter.examples <= points[-1].examples:
            points.pop()  # measured again on more labels, or trained on fewer after annotations were deleted
        points.append(Point(adapter.examples, max(1.0, labels_behind(measured)), measured["score"]))
    return points

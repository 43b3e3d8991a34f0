"""Model quality: the learning curve with its intervals, the target, and the labels still needed to reach it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from backend.evaluation.bounds import ENOUGH, needed
from backend.evaluation.calibration import beyond_chance, overconfidence
from backend.rounds.context import options_of, spec_of
from backend.rounds.quality.goals import goals_of, score_of_labels
from backend.store import Store
from backend.store.sql.models import Project


class Score(TypedDict):
    """The held-out score of one control."""

    metric: str
    score: float
    low: Annotated[float, Field(description="Lower end of the 95 % interval")]
    high: Annotated[float, Field(description="Upper end of the 95 % interval")]
    labels: Annotated[int, Field(description="Held-out labels")]


class Point(TypedDict):
    """A point of the learning curve."""

    round: int
    labels: Annotated[int, Field(description="Labeled tasks, held-out ones included")]
    held_out: Annotated[int, Field(description="Held-out labels")]
    metric: str
    score: float
    low: Annotated[float, Field(description="Lower end of the 95 % interval")]
    high: Annotated[float, Field(description="Upper end of the 95 % interval")]
    effective: Annotated[
        float | None,
        Field(description="Held-out labels that are as precise without the model's confidences. Null: not known"),
    ]


class Former(TypedDict):
    """The metric before labels of another kind were learned, after which the curve starts again."""

    metric: str
    round: Annotated[int, Field(description="The last round that it was measured in")]


class Curve(TypedDict):
    """The learning curve of one control, oldest point first."""

    points: list[Point]
    target: Annotated[float | None, Field(description="In the metric of `points`, also if it was set before")]
    former: Annotated[Former | None, Field(description="Null: always the metric of `points`")]
    sure: Annotated[float | None, Field(description="Score that is surely reached so far")]
    needed: Annotated[
        int | None,
        Field(
            description="Held-out labels that would confirm the target at this accuracy. Null: below it, or not known"
        ),
    ]
    saved: Annotated[
        dict[str, Any] | None, Field(description="Labels saved in comparison with random labeling. Null: not yet known")
    ]
    calibration_error: NotRequired[
        Annotated[float | None, Field(description="Mean difference between confidence and share of right answers")]
    ]
    overconfidence: NotRequired[
        Annotated[float | None, Field(description="Mean confidence − share of right answers, at the last round")]
    ]
    miscalibrated: NotRequired[Annotated[bool, Field(description="Whether that is more than chance makes")]]


class Forecast(TypedDict):
    """Labels still needed for the target, held-out ones included: the median, and the interval of 8 in 10 cases."""

    labels: int
    low: int
    high: Annotated[int | None, Field(description="Null: more than there are tasks")]


class Quality(TypedDict):
    """How good the model is, and how many labels are still needed."""

    controls: Annotated[dict[str, Curve], Field(description="By name of the control")]
    forecast: Annotated[Forecast | None, Field(description="Null: unknown, no target, or reached")]
    out_of_reach: Annotated[bool, Field(description="Whether most plausible learning curves never lead to the target")]
    settled: Annotated[bool | None, Field(description="Whether predictions stopped changing. Null: unknown")]
    reached: Annotated[bool, Field(description="Whether every target is surely reached")]
    held_out_left: Annotated[int, Field(description="Held-out tasks that can still be labeled")]
    held_out: Annotated[int, Field(description="Held-out tasks that are labeled or can be")]
    tasks: Annotated[int, Field(description="All tasks of the project")]
    least: Annotated[
        int | None,
        Field(description="Held-out labels that would confirm the target if all were right. Null: none, or an error's"),
    ]


def _needed(found: Mapping[str, Any], target: float | None, risk: float) -> int | None:
    if target is None or "correct" not in found or found["labels"] < ENOUGH:
        return None
    return needed(score_of_labels(found), target, risk)


def score_of(found: Mapping[str, Any]) -> Score:
    """The score of one control of a round's evaluation."""
    return {
        "metric": found["metric"],
        "score": found["score"],
        "low": found["low"],
        "high": found["high"],
        "labels": found["labels"],
    }


def quality(store: Store, project: Project) -> Quality:
    """By control: `points` of the curve (oldest first), `target`, `sure` and `saved`.

    `sure` is the statistically confirmed score, `saved` the comparison with random labeling.
    `reached` and `forecast`, the labels still needed (None: unknown), are for all controls together.
    """
    targets = spec_of(project).targets
    options = options_of(project)
    goals = goals_of(options, targets)
    names = {target.name for target in targets}
    rounds = [
        each for each in store.of(project.id).rounds.all() if each.evaluation is not None and each.state == "done"
    ]
    controls: dict[str, Curve] = {}
    for each in rounds:
        for name, found in (each.evaluation or {})["controls"].items():
            if name not in names:  # a control that was removed
                continue
            control = controls.setdefault(
                name,
                {"points": [], "target": goals.get(name), "former": None, "sure": None, "needed": None, "saved": None},
            )
            point: Point = {
                "round": each.number,
                "labels": each.labels,
                "held_out": found["labels"],
                "metric": found["metric"],
                "score": found["score"],
                "low": found["low"],
                "high": found["high"],
                "effective": found.get("effective"),
            }
            last = control["points"][-1] if control["points"] else point
            if last["metric"] != point["metric"]:
                control["points"], control["former"] = [], {"metric": last["metric"], "round": last["round"]}
            control["points"] = [*control["points"], point]
            control["saved"] = found.get("control_arm")
            control["needed"] = _needed(found, goals.get(name), options.target_risk)
            control["calibration_error"] = found.get("calibration_error")
            bins = found.get("reliability")  # not of rounds of earlier releases
            enough = "correct" in found and found["labels"] >= ENOUGH
            control["overconfidence"] = overconfidence(bins) if bins else None
            control["miscalibrated"] = bool(bins) and enough and beyond_chance(bins)
    stopping = store.of(project.id).rounds.last("stopping") or {}
    check = stopping.get("look") or {}
    for name, found in check.get("found", {}).items():
        if name in controls:
            controls[name]["sure"] = found["sure"]
    shares = [
        goal for target in targets if (goal := goals.get(target.name)) is not None and target.kind != "regression"
    ]
    tasks = store.of(project.id).tasks
    return {
        "controls": controls,
        "least": needed(1.0, max(shares), options.target_risk) if shares else None,
        "held_out": tasks.count_held_out(),
        "tasks": tasks.count(),
        "reached": bool(check.get("reached")),
        "forecast": stopping.get("forecast"),
        "out_of_reach": bool(stopping.get("out_of_reach")),  # not in rounds of earlier releases
        "settled": stopping.get("settled"),
        "held_out_left": tasks.count_waiting(audit=True),
    }

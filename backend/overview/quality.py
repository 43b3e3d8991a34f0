"""Model quality: the learning curve with its intervals, the target, and the labels still needed to reach it."""

from __future__ import annotations

from typing import Any

from backend.rounds.context import options_of, spec_of
from backend.rounds.quality.goals import goals_of
from backend.store import Store
from backend.store.models import Project

_SHOWN = ("metric", "score", "low", "high")


def quality(store: Store, project: Project) -> dict[str, Any]:
    """By control: `points` of the curve (oldest first), `target`, `sure` and `saved`.

    `sure` is the statistically confirmed score, `saved` the comparison with random labeling.
    `reached` and `forecast`, the labels still needed (None: unknown), are for all controls together.
    """
    targets = spec_of(project).targets
    goals = goals_of(options_of(project), targets)
    names = {target.name for target in targets}
    rounds = [each for each in store.rounds.all(project.id) if each.evaluation is not None and each.state == "done"]
    controls: dict[str, Any] = {}
    for each in rounds:
        for name, found in (each.evaluation or {})["controls"].items():
            if name not in names:  # a control that was removed
                continue
            control = controls.setdefault(name, {"points": [], "target": goals.get(name), "sure": None, "saved": None})
            point = {"round": each.number, "labels": each.labels, "held_out": found["labels"]}
            same = [former for former in control["points"] if former["metric"] == found["metric"]]  # drop other metrics
            control["points"] = [*same, {**point, **{key: found[key] for key in _SHOWN}}]
            control["saved"] = found.get("control_arm")
            control["calibration_error"] = found.get("calibration_error")
    stopping = store.rounds.last(project.id, "stopping") or {}
    check = stopping.get("look") or {}
    for name, found in check.get("found", {}).items():
        if name in controls:
            controls[name]["sure"] = found["sure"]
    known = {name: stopping.get(name) for name in ("forecast", "settled")}
    return {"controls": controls, "reached": bool(check.get("reached")), **known}

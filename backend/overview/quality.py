"""How good the model is: the learning curve with its intervals, the target and what is still needed for it."""

from __future__ import annotations

from typing import Any

from backend.rounds.context import options_of, spec_of
from backend.rounds.quality.goals import goals_of
from backend.store import Store
from backend.store.models import Project

_SHOWN = ("metric", "score", "low", "high")


def quality(store: Store, project: Project) -> dict[str, Any]:
    """By control: `points` of the curve, oldest first, the `target`, and what choosing has `saved` against random.

    `reached` and `forecast` are of all controls together: the latter labels still needed, None while that is unknown.
    """
    targets = spec_of(project).targets
    goals = goals_of(options_of(project), targets)
    asked = {target.name for target in targets}
    rounds = [each for each in store.rounds.all(project.id) if each.evaluation is not None and each.state == "done"]
    controls: dict[str, Any] = {}
    for each in rounds:
        for name, found in (each.evaluation or {})["controls"].items():
            if name not in asked:  # any more
                continue
            told = controls.setdefault(name, {"points": [], "target": goals.get(name), "sure": None, "saved": None})
            point = {"round": each.number, "labels": each.labels, "held_out": found["labels"]}
            same = [former for former in told["points"] if former["metric"] == found["metric"]]  # else of another kind
            told["points"] = [*same, {**point, **{key: found[key] for key in _SHOWN}}]
            told["saved"] = found.get("control_arm")
            told["calibration_error"] = found.get("calibration_error")
    stopping = store.rounds.last(project.id, "stopping") or {}
    look = stopping.get("look") or {}
    for name, found in look.get("found", {}).items():
        if name in controls:
            controls[name]["sure"] = found["sure"]
    known = {name: stopping.get(name) for name in ("forecast", "settled")}
    return {"controls": controls, "reached": bool(look.get("reached")), **known}

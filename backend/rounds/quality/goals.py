"""The target scores of a project: whether they seem to be reached, and whether they certainly are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from backend.evaluation.bounds import due, equivalent, level, upper_end, with_skipped
from backend.options import ProjectOptions
from backend.store.sql.models import Round
from backend.targets import Target

_DEVIATIONS = 2 * 1.96  # width of a 95 % interval in standard deviations
_UNBOUNDED = 100  # held-out numbers without a known range that the normal approximation of their mean error needs


def goals_of(options: ProjectOptions, targets: Sequence[Target]) -> dict[str, float]:
    """The target score of each control; a single number applies to all."""
    if isinstance(options.target, dict):
        return dict(options.target)
    return dict.fromkeys([target.name for target in targets], options.target) if options.target is not None else {}


def near(goals: Mapping[str, float], evaluation: Mapping[str, Any] | None) -> bool:
    """Whether every target seems reached, so that more held-out labels are needed to be certain."""
    controls = (evaluation or {}).get("controls", {})
    return bool(goals) and all(name in controls and _reaches(controls[name], goal) for name, goal in goals.items())


def _reaches(measured: Mapping[str, Any], goal: float) -> bool:
    return bool(measured["score"] <= goal if measured["metric"] == "mae" else measured["score"] >= goal)


def check(
    goals: Mapping[str, float], targets: Sequence[Target], this: Round, former: Sequence[Round], options: ProjectOptions
) -> dict[str, Any] | None:
    """The latest test of the targets. All are tested together, when the control with fewest labels is due.

    `found` by control: `sure`, the bound that the score certainly reaches (for a mean error, stays below), and whether
    it is `reached`. Between tests the last result stands. None without a target or without held-out tasks.
    """
    controls = (this.evaluation or {}).get("controls", {})
    if not goals or not options.audit_share:
        return None
    settings = {"goals": dict(goals), "risk": options.target_risk}
    kinds = {(target.name, target.kind) for target in targets}
    tests = [
        each.stopping["look"]
        for each in former
        if each.stopping and each.stopping.get("look")
        and kinds >= {(target["name"], target["kind"]) for target in each.targets or () if target["name"] in goals}
    ]  # fmt: skip
    last = next((each for each in reversed(tests) if {name: each[name] for name in settings} == settings), None)
    known: dict[str, Any] = {**settings, "looked": 0, "found": {}, "reached": False} if last is None else dict(last)
    labels = min((_countable(controls.get(name), target) for name, target in _named(goals, targets)), default=0)
    if not due(labels, known["looked"]):
        return known
    share = level(labels, known["looked"], options.target_risk)
    found = {name: _sure(controls[name], target, goals[name], share, _skipped(this.evaluation or {}))
             for name, target in _named(goals, targets)}  # fmt: skip
    return known | {"looked": labels, "found": found, "reached": all(each["reached"] for each in found.values())}


def _named(goals: Mapping[str, float], targets: Sequence[Target]) -> list[tuple[str, Target]]:
    return [(target.name, target) for target in targets if target.name in goals]


def _countable(measured: Mapping[str, Any] | None, target: Target) -> int:
    """Held-out labels; 0 if they are too few for a conclusion."""
    if measured is None:
        return 0
    enough = measured["metric"] != "mae" or target.width is not None or measured["labels"] >= _UNBOUNDED
    return int(measured["labels"]) if enough else 0


def _skipped(evaluation: Mapping[str, Any]) -> float:
    """Share of the held-out tasks that annotators skipped."""
    skipped = evaluation.get("skipped", 0)
    return float(skipped / (evaluation["labels"] + skipped)) if skipped else 0.0


def _sure(measured: Mapping[str, Any], target: Target, goal: float, risk: float, skipped: float) -> dict[str, Any]:
    """skipped: share of the held-out tasks that annotators skipped."""
    if measured["metric"] != "mae":
        sure = with_skipped(score_of_labels(measured), equivalent_labels(measured), risk, skipped)
        return {"sure": sure, "reached": sure >= goal}
    most = target.width
    if most is None:
        sure = upper_end(measured["score"], (measured["high"] - measured["low"]) / _DEVIATIONS, risk)
    else:  # an error between 0 and the range is a score between 1 and 0
        turned = {"score": "score", "low": "high", "high": "low"}
        good = {name: 1 - measured[other] / most for name, other in turned.items()}
        sure = most * (1 - with_skipped(good["score"], equivalent_labels({**measured, **good}), risk, skipped))
    return {"sure": sure, "reached": sure <= goal}


def score_of_labels(measured: Mapping[str, Any]) -> float:
    """The score by the held-out labels alone: an exact bound needs counts."""
    alone = measured.get("estimates", {}).get("held_out", measured)  # without estimates it is the only one
    return float(alone["score"])


def equivalent_labels(measured: Mapping[str, Any]) -> float:
    """The equivalent number of right-or-wrong labels: their own number where each is right or wrong."""
    if "correct" in measured:
        return float(measured["labels"])
    deviation = (measured["high"] - measured["low"]) / _DEVIATIONS
    return equivalent(measured["score"], deviation, measured["low"], measured["labels"])

"""When labeling may stop: a target is certainly reached, a budget is used up, or predictions are stable."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from backend.options import ProjectOptions
from backend.rounds.context import ProjectRun
from backend.rounds.quality.forecast import labels_needed
from backend.rounds.quality.goals import check, goals_of
from backend.rounds.quality.stability import agreement, is_stable
from backend.store.sql.models import Project

log = logging.getLogger(__name__)

_RULES = ("target", "target_risk", "budget", "budget_hours")


def judge(run: ProjectRun) -> None:
    """Write to the round what is known about stopping, and to the project if a stop rule is met.

    Safe to repeat: ignores what this round wrote before. Advice that cannot be computed is left out.
    """
    this, options, targets = run.round, run.options, run.spec.targets
    former = [each for each in run.rounds.all() if each.number < this.number]
    hours = run.annotations.hours()
    found: dict[str, Any] = {
        "hours": round(hours, 3),
        "look": check(goals_of(options, targets), targets, this, former, options),
        "agreement": run.attempt("whether predictions are stable", lambda: agreement(run, this.adapter)) or {},
    }
    found["settled"] = is_stable([*(each.stopping for each in former if each.stopping), found])
    found["forecast"], found["out_of_reach"] = run.attempt(
        "how many labels are still needed", lambda: labels_needed(run, [*former, this], found["look"])
    ) or (None, False)
    run.rounds.set(this.number, stopping=found)
    why, stopped = _why(options, found["look"], this.labels, hours), stopped_by(run.project, options)
    if stopped is None and why is not None:
        stopped = {"rules": _rules(options), "round": this.number, "labels": this.labels, "why": why,
                   "at": time.time(), "told": False}  # fmt: skip
        log.warning("project %d: labeling may stop, %s", run.id, why)
    run.store.projects.set(run.id, stopped=stopped)


def _why(options: ProjectOptions, latest: Mapping[str, Any] | None, labels: int, hours: float) -> str | None:
    """The rule that is met, as a sentence; None without one."""
    if latest is not None and latest["reached"]:
        each = ", ".join(f"{name}: surely {found['sure']:.3f}, target {latest['goals'][name]:g}"
                         for name, found in latest["found"].items())  # fmt: skip
        return f"the target is reached ({each})"
    return budget_spent(options, labels, hours)


def budget_spent(options: ProjectOptions, labels: int, hours: float) -> str | None:
    """The budget that is used up, as a sentence; None without one."""
    if options.budget is not None and labels >= options.budget:
        return f"the budget of {options.budget} labels is spent ({labels})"
    if options.budget_hours is not None and hours >= options.budget_hours:
        return f"the budget of {options.budget_hours:g} hours is spent ({hours:.1f})"
    return None


def stopped_by(project: Project, options: ProjectOptions) -> dict[str, Any] | None:
    """The stop rule that was met (why, when, at how many labels), if the options still contain it."""
    return project.stopped if project.stopped and project.stopped["rules"] == _rules(options) else None


def _rules(options: ProjectOptions) -> dict[str, Any]:
    rules = options.model_dump(include=set(_RULES), exclude_none=True)
    return {**rules, "taxonomy": "nodes"} if options.taxonomy == "nodes" else rules  # a target has another meaning then

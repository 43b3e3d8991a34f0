"""Whether to stop labeling: a target that is surely reached, a budget that is spent, predictions that have settled."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from backend.options import ProjectOptions
from backend.rounds.ahead import ahead
from backend.rounds.context import Context, options_of, spec_of
from backend.rounds.settled import agreement, settled
from backend.rounds.targets import goals_of, look
from backend.rounds.tries import attempt
from backend.store.models import Project, Round

_RULES = ("target", "target_risk", "budget", "budget_hours")


def judge(context: Context, project_id: int, this: Round, version: int) -> str | None:
    """Write what is known of when to stop to the round, and to the project if a rule says so; then why, in words.

    Safe to repeat: what this round wrote before is not looked at. What is advice only may fail, and is then left out.
    """
    project = context.project(project_id)
    options = options_of(project)
    former = [each for each in context.store.rounds.all(project_id) if each.number < this.number]
    hours = context.store.annotations.hours(project_id)
    targets = spec_of(project).targets
    found: dict[str, Any] = {
        "hours": round(hours, 3),
        "look": look(goals_of(options, targets), targets, this, former, options),
        "agreement": attempt(project_id, "whether predictions settle", lambda: agreement(
            context, project_id, this.adapter, version
        )) or {},
    }  # fmt: skip
    found["settled"] = settled([*(each.stopping for each in former if each.stopping), found])
    found["forecast"] = attempt(project_id, "how many labels are still needed", lambda: ahead(
        context, project, [*former, this], version, found["look"]
    ))  # fmt: skip
    context.store.rounds.set(project_id, this.number, stopping=found)
    why, stopped = _why(options, found["look"], this.labels, hours), stopped_by(project, options)
    if stopped is None and why is not None:
        stopped = {"rules": _rules(options), "round": this.number, "labels": this.labels, "why": why,
                   "at": time.time(), "told": False}  # fmt: skip
    context.store.projects.set(project_id, stopped=stopped)
    return why if stopped is not None and stopped["round"] == this.number else None


def _why(options: ProjectOptions, look: Mapping[str, Any] | None, labels: int, hours: float) -> str | None:
    """The rule that is met, in words."""
    if look is not None and look["reached"]:
        each = ", ".join(f"{name}: surely {found['sure']:.3f}, target {look['goals'][name]:g}"
                         for name, found in look["found"].items())  # fmt: skip
        return f"the target is reached ({each})"
    return budget_spent(options, labels, hours)


def budget_spent(options: ProjectOptions, labels: int, hours: float) -> str | None:
    """The budget that is spent, in words."""
    if options.budget is not None and labels >= options.budget:
        return f"the budget of {options.budget} labels is spent ({labels})"
    if options.budget_hours is not None and hours >= options.budget_hours:
        return f"the budget of {options.budget_hours:g} hours is spent ({hours:.1f})"
    return None


def stopped_by(project: Project, options: ProjectOptions) -> dict[str, Any] | None:
    """Why, when and at how many labels the project was found to be done, by the rules that are still in force."""
    return project.stopped if project.stopped and project.stopped["rules"] == _rules(options) else None


def _rules(options: ProjectOptions) -> dict[str, Any]:
    return options.model_dump(include=set(_RULES), exclude_none=True)

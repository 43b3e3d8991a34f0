"""The first steps of a turn: which events it covers, and whether a round is due."""

from __future__ import annotations

import logging

from backend.options import ProjectOptions
from backend.rounds.context import Events, ProjectRun
from backend.rounds.engine.due import reason_for_round

log = logging.getLogger(__name__)


def begin(run: ProjectRun) -> Events:
    """Open the turn. Later events belong to the next one: this turn's sync may miss what they report."""
    run.store.projects.take_turn(run.id, run.turn)
    mark, actions = run.store.events.after(run.id, run.project.event_mark)
    return {"mark": mark, "actions": sorted(actions)}


def decide(run: ProjectRun) -> int | None:
    """The number of the round to run now, or None if no round is due. Marks the turn's events as processed."""
    number = _begin_round(run)
    run.store.projects.set(run.id, event_mark=run.events["mark"])
    run.store.events.forget(run.id, run.events["mark"])
    return number


def _begin_round(run: ProjectRun) -> int | None:
    reason = reason_for_round(run)
    project = run.project
    last = run.rounds.get(project.round)
    if reason is None:
        if project.webhook_ready:
            run.store.projects.set(run.id, error=last.error if last and last.state == "failed" else None)
        return None
    run.store.files.require_room(run.min_free_mb)
    number = project.round if last is not None and last.state == "running" else project.round + 1
    run.rounds.begin(
        number,
        reason=reason,
        labels=run.tasks.count_labeled(),
        tasks=run.tasks.count(),
        targets=[target.as_json() for target in run.spec.targets],
        options=project.options,
        paused=project.paused,
        seconds={"sync": round(run.sync_seconds, 3)},
        adapter=project.adapter,
        back_to=project.back_to,
    )
    log.info("project %d, round %d begins: %s", run.id, number, reason)
    for name, most in ProjectOptions.lowered(project.options).items():
        log.warning(
            "project %d: the option %s is %s, used as %s, its largest value", run.id, name, project.options[name], most
        )
    return number

"""A new queue without a round: tasks that people put first, or a sample, come before what the strategy selects."""

from __future__ import annotations

from dataclasses import replace

from backend.rounds.adapters import learned
from backend.rounds.context import ProjectRun
from backend.rounds.events import FIRST
from backend.rounds.insights.explanations import explain
from backend.rounds.selection import bandit
from backend.rounds.selection.strategy import strategy_for
from backend.rounds.steps import select
from backend.rounds.steps.publish import put_in_force


def applies(run: ProjectRun) -> bool:
    """Whether people changed which tasks come first, and the queue in force does not begin with them."""
    if not select.applies(run) or not run.project.queue:
        return False
    last = run.rounds.get(run.project.round)
    if last is not None and last.options not in (None, run.project.options):
        return False  # the next round may compute other values for its queue, which begins with them too
    first = run.tasks.first()
    queued = [item.task_id for item in run.rounds.queue(run.project.queue) if not item.audit]
    still_open = run.tasks.open_ones(queued)
    if [task for task in queued if task in still_open][: len(first)] != first:
        return True
    return FIRST in run.events["actions"] and run.number is None


def requeue(run: ProjectRun) -> None:
    """Select a queue by the adapter in service, or before the first one by the cold start, and put it in force."""
    run = replace(run, version=run.project.adapter, head=run.project.head)
    last = run.rounds.get(run.project.round)
    if not select.applies(run) or last is None:
        return
    adapter = run.rounds.adapter(run.version)
    targets = learned(adapter) if adapter is not None else run.spec.targets
    strategy, _ = bandit.adapted(run, strategy_for(run, run.version), targets)
    queue, _ = select.choose(run, strategy, targets, last)
    put_in_force(run, queue)
    run.attempt("why tasks were selected", lambda: explain(replace(run, queue=queue)))

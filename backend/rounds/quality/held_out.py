"""Which tasks are held out to measure the model, and how many of them a queue has.

A hash of the task's number decides, so that nothing can bias it, and so it must be decided before the first label: a
text that was trained on can no longer measure, and the others of its kind are no random sample then.
"""

from __future__ import annotations

from backend.options import ProjectOptions
from backend.rounds.context import ProjectRun

SHARE = 0.1  # of the tasks and of the queue, with `auto`
NEAR = 0.5  # share of the queue while a target seems reached and is not certain
_MOST = 0.3  # of the tasks of a project with a target
_ENOUGH = 1200  # held-out tasks that make most targets certain: see benchmarks/results/stopping.md


def queue_share(options: ProjectOptions, *, near: bool = False) -> float:
    """Share of held-out tasks in a queue. near: while a target seems reached and is not certain."""
    share = SHARE if options.audit_share == "auto" else options.audit_share
    return max(share, NEAR) if near and share else share


def held_out_share(run: ProjectRun) -> float:
    """Share of the project's tasks that are held out, as `assign` decided it."""
    assert run.project.held_out_share is not None
    return run.project.held_out_share


def assign(run: ProjectRun) -> ProjectRun:
    """Decide which tasks are held out; those that are stored are assigned again if that changed.

    `auto` decides until the first label, and keeps to it: a larger share if the options have a target.
    """
    options, former = run.options, run.project.split
    if options.audit_share != "auto":
        share = options.audit_share
    elif run.tasks.count_labeled():
        share = run.project.held_out_share or SHARE  # none was held out with the option 0
    else:
        share = _share(options, run.client.project(run.id).task_number)
    split = f"{options.seed}:{share}"
    if former not in (None, split):
        run.tasks.assign_audit(seed=options.seed, share=share)
    return run.set(split=split, held_out_share=share) if former != split else run


def _share(options: ProjectOptions, tasks: int) -> float:
    return SHARE if options.target is None else round(min(_MOST, max(SHARE, _ENOUGH / max(1, tasks))), 3)

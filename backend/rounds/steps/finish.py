"""The model's labels of the rest: draw the sample that tests them, decide, and do what was requested with them."""

from __future__ import annotations

from dataclasses import replace

from backend.rounds.adapters import find, learned
from backend.rounds.context import ProjectRun
from backend.rounds.finishing import writing
from backend.rounds.finishing.answers import in_service
from backend.rounds.finishing.decision import decide
from backend.rounds.finishing.later import compare
from backend.rounds.finishing.sample import draw
from backend.rounds.selection import bandit
from backend.rounds.selection.strategy import strategy_for
from backend.rounds.steps.publish import put_in_force
from backend.rounds.steps.select import choose
from backend.store.finishes import CANCEL, CANCELLED, IN_FORCE, REQUESTED, SAMPLING, TAKE, TAKE_BACK, WRITE


def applies(run: ProjectRun) -> bool:
    """Whether the project's newest finish may need something."""
    last = run.finishes.last()
    if last is None or not run.project.connected:
        return False
    return last.wanted is not None or last.state in (REQUESTED, SAMPLING, *IN_FORCE)


def finish(run: ProjectRun) -> None:
    """Do what the state of the newest finish calls for. Repeating it does no harm."""
    last = run.finishes.last()
    assert last is not None
    if last.wanted == CANCEL:
        run.finishes.decide(last.number, CANCELLED, right={}, keep=[], wanted=None)
        _publish(run)
    elif last.wanted in (TAKE, WRITE):
        run.finishes.take(last.number)
        _publish(run)
        if last.wanted == WRITE:
            writing.write(run, last)
        run.finishes.set(last.number, wanted=None)
    elif last.wanted == TAKE_BACK:
        writing.take_back(run, last)
        run.finishes.set(last.number, wanted=None)
        _publish(run)
    elif last.state == REQUESTED:
        if draw(run, last):
            _publish(run)
    elif last.state == SAMPLING and not run.tasks.sampled(unlabeled=True):
        decide(run, last)
    for each in run.finishes.all():
        if each.state in IN_FORCE:
            compare(run, each)


def _publish(run: ProjectRun) -> None:
    """Publish a queue that has the sample and none of the tasks that are done, by the adapter in service."""
    run = in_service(run)
    last = run.rounds.get(run.project.round)
    if not (run.version and run.options.manage_queue and last is not None):
        return
    targets = learned(find(run, run.version))
    strategy, _ = bandit.adapted(run, strategy_for(run, run.version), targets)
    queue, _ = choose(run, strategy, targets, last)
    put_in_force(replace(run, queue=queue), queue)

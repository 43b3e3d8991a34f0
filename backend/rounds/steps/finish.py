"""The model's labels of the rest: draw the sample that tests them, decide, and do what was requested with them."""

from __future__ import annotations

from backend.errors import LabelStudioError
from backend.rounds.context import ProjectRun
from backend.rounds.finishing import decision, writing
from backend.rounds.finishing.later import compare
from backend.rounds.finishing.sample import draw
from backend.rounds.finishing.tab import show_taken
from backend.rounds.steps.requeue import requeue
from backend.store.finishes import (
    CANCEL,
    CANCELLED,
    CERTIFIED,
    IN_FORCE,
    POSSIBLE,
    REFUSED,
    REQUESTED,
    SAMPLING,
    TAKE_BACK,
    WRITE,
)
from backend.store.sql.models import Finish

_BUSY = (REQUESTED, SAMPLING, CERTIFIED, *IN_FORCE)


def applies(run: ProjectRun) -> bool:
    """Whether a finish may need something."""
    return run.project.connected and any(each.wanted or each.state in _BUSY for each in run.finishes.all())


def finish(run: ProjectRun) -> None:
    """Do what the finishes' requests and states call for. Repeating it does no harm."""
    for each in run.finishes.all():
        if each.wanted is not None:
            try:
                _carry_out(run, each, each.wanted)
            except LabelStudioError as error:
                run.finishes.set(each.number, error=str(error))
                raise
    last = run.finishes.all()[-1]
    if last.state in (SAMPLING, CERTIFIED) and (reason := decision.changed(run, last)) is not None:
        run.finishes.decide(last.number, REFUSED, keep=(), error=reason)
        requeue(run)
    elif last.state == REQUESTED:
        if draw(run, last):
            requeue(run)
    elif last.state == SAMPLING:
        waiting = set(run.tasks.sampled(unlabeled=True))
        if not waiting:
            decision.decide(run, last)
        elif not waiting <= {item.task_id for item in run.rounds.queue(run.project.queue)}:
            requeue(run)  # an earlier try failed, or a former queue was put back
    for each in run.finishes.all():
        if each.state in IN_FORCE:
            compare(run, each)


def _carry_out(run: ProjectRun, each: Finish, wanted: str) -> None:
    """Carry out a request, if the state still allows it."""
    if each.state in POSSIBLE[wanted]:
        if wanted == CANCEL:
            run.finishes.decide(each.number, CANCELLED, keep=())
        elif wanted == TAKE_BACK:
            writing.take_back(run, each)
        else:
            decision.take(run, each)
        requeue(run)
        if wanted == WRITE:
            (now,) = (one for one in run.finishes.all() if one.number == each.number)
            writing.write(run, now)
        if wanted != CANCEL:
            show_taken(run)
    run.finishes.carried_out(each.number, wanted)

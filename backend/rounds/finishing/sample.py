"""The random sample of the remaining tasks that tests the model's labels of them."""

from __future__ import annotations

import logging

import numpy as np

from backend.evaluation.selective import least, risk_of
from backend.rounds.context import ProjectRun
from backend.rounds.finishing.answers import answers, in_service, obstacle
from backend.store.finishes import REFUSED
from backend.store.sql.models import Finish

log = logging.getLogger(__name__)

_TIMES = 6  # as large as the smallest sample that can prove anything, by default: a few wrong answers are allowed then


def default_labels(accuracy: float, risk: float, remaining: int) -> int:
    """Size of a sample; of few remaining tasks at most a third, but as many as are needed at least."""
    fewest = least(accuracy, risk)
    return min(_TIMES * fewest, max(fewest, remaining // 3))


def draw(run: ProjectRun, finish: Finish) -> bool:
    """Store the model's answers to all open tasks, and draw the sample. Returns whether there is one.

    The sample must not be known to the model, to its temperatures or to the stopping rule: its labels take part in
    nothing until they have decided. Held-out labels cannot test here, since they are no random sample of what the
    selection has left.
    """
    run = in_service(run)
    error = obstacle(run.spec) if run.version else "no model is trained yet; label a batch of tasks first"
    found = [] if error else answers(run)
    risk = risk_of(finish.number)
    fewest = least(finish.accuracy, risk)
    labels = finish.labels or default_labels(finish.accuracy, risk, len(found))
    if error is None and len(found) <= max(labels, fewest):
        error = (
            f"{len(found)} tasks remain that the model has an answer to, and the sample would be {max(labels, fewest)} "
            "of them; label them"
        )
    elif error is None and labels < fewest:
        error = (
            f"a sample of {labels} cannot prove an accuracy of {finish.accuracy:g}, even without a wrong answer; take "
            f"{fewest} at least"
        )
    if error is not None:
        run.finishes.set(finish.number, state=REFUSED, error=error)
        log.warning("project %d: the model cannot label the rest: %s", run.id, error)
        return False
    rng = np.random.default_rng([run.options.seed, run.id, finish.number])
    drawn = set(rng.permutation(len(found))[:labels].tolist())
    run.finishes.put_sample(
        finish.number,
        [each._replace(sampled=row in drawn) for row, each in enumerate(found)],
        adapter=run.version,
        labels=labels,
        result={"remaining": len(found), "fewest": fewest, "risk": risk, "tasks": run.tasks.count()},
    )
    log.info("project %d: %d random tasks of the remaining %d test the model's labels", run.id, labels, len(found))
    return True

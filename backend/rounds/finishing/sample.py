"""The random sample of the remaining tasks that tests the model's labels of them."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence

import numpy as np

from backend.evaluation.selective import least, risk_of
from backend.rounds.adapters import find, learned
from backend.rounds.context import ProjectRun
from backend.rounds.finishing.answers import answers, in_service, obstacle
from backend.rounds.finishing.groups import obstacle_to_classes, of_largest
from backend.store.finishes import CLASS, REFUSED, WHOLE, Answer, Finishes
from backend.store.sql.models import Finish

log = logging.getLogger(__name__)

_MOST = 0.5  # of the remaining tasks: otherwise they are labeled about as soon without a sample
_TIMES = 6  # as large as the smallest sample that can prove anything, by default: a few wrong answers are allowed then


def default_labels(fewest: int, remaining: int) -> int:
    """Size of a sample; of few remaining tasks at most a third, but as many as are needed at least."""
    return min(_TIMES * fewest, max(fewest, remaining // 3))


def next_risk(finishes: Finishes) -> float:
    """The risk of the project's next sample. Requests that drew none do not count."""
    return risk_of(1 + sum("risk" in each.result for each in finishes.all()))


def draw(run: ProjectRun, finish: Finish) -> bool:
    """Store the model's answers to all open tasks, and draw the sample. Returns whether there is one.

    The sample must not be known to the model, to its temperatures or to the stopping rule: its labels take part in
    nothing until they have decided. Held-out labels cannot test here, since they are no random sample of what the
    selection has left.
    """
    run = in_service(run)
    error = obstacle(run.spec, run.options) if run.version else "no model is trained yet; label a batch of tasks first"
    if error is None:
        error = obstacle_to_classes(run.spec, finish.scope) or _unlearned(run)
    found = [] if error else answers(run)
    risk, of = next_risk(run.finishes), run.tasks.count_labelable()
    fewest = None
    if error is None:
        fewest = _fewest(finish, found, risk, of)
        labels = finish.labels or default_labels(fewest or 0, len(found))
        if finish.scope == CLASS and (fewest is None or labels >= len(found)):
            error = "no class has so many tasks left that a sample could prove its labels; use the accuracy of all"
        elif fewest is None or labels >= len(found) or (finish.labels is None and labels > _MOST * len(found)):
            error = (
                f"{len(found)} tasks remain that the model has an answer to, too few to draw a sample of; label them"
            )
        elif labels < fewest:
            error = (
                f"a sample of {labels} cannot prove that {finish.accuracy:.1%} are right, even without a wrong answer; "
                f"take {fewest} at least"
            )
    if error is not None:
        run.finishes.set(finish.number, state=REFUSED, error=error)
        log.warning("project %d: the model cannot label the rest: %s", run.id, error)
        return False
    rng = np.random.default_rng([run.options.seed, run.id, finish.number])
    drawn = set(rng.permutation(len(found))[:labels].tolist())
    targets = [target.as_json() for target in run.spec.targets]
    run.finishes.put_sample(
        finish.number,
        [each._replace(sampled=row in drawn) for row, each in enumerate(found)],
        adapter=run.version,
        labels=labels,
        result={"remaining": len(found), "fewest": fewest, "risk": risk, "of": of, "targets": targets},
    )
    log.info("project %d: %d random tasks of the remaining %d test the model's labels", run.id, labels, len(found))
    return True


def _fewest(finish: Finish, found: Sequence[Answer], risk: float, of: int) -> int | None:
    """Size of the smallest sample that can prove anything: class by class, of the class that has most answers.

    How many of the sample are of that class is left to chance, so some more are drawn: nine in ten samples have enough.
    """
    groups, size = of_largest(finish.scope, found)
    if not size:
        return None
    fewest = least(finish.accuracy, risk / groups, size, of if finish.scope == WHOLE else None)
    if fewest is None or groups == 1:
        return fewest
    return math.ceil((fewest + 1.3 * math.sqrt(fewest)) * len(found) / size)


def _unlearned(run: ProjectRun) -> str | None:
    """A control that the adapter does not know yet, so that no task would get a complete label."""
    known = {(target.name, target.kind) for target in learned(find(run, run.version))}
    missing = [each.name for each in run.spec.targets if (each.name, each.kind) not in known]
    return f"the model has not learned '{missing[0]}' yet; label more tasks" if missing else None

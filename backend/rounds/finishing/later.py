"""People's later labels of tasks that have the model's label: whether they still agree with the guarantee."""

from __future__ import annotations

import logging

from backend.evaluation.selective import exceeded
from backend.rounds.context import ProjectRun
from backend.rounds.finishing.answers import right
from backend.rounds.finishing.decision import WHOLE
from backend.store.finishes import TAKEN, WITHDRAWN, WRITTEN
from backend.store.sql.models import Finish

log = logging.getLogger(__name__)


def compare(run: ProjectRun, finish: Finish) -> None:
    """Compare later labels with the model's; withdraw the guarantee, aloud, if more are wrong than it allows."""
    pairs = run.finishes.relabeled(finish.number)
    found = {task: right(run.spec, ours, theirs, finish.tolerance) for task, (ours, theirs) in pairs.items()}
    later = {"labels": len(found), "wrong": sum(not each for each in found.values())}
    if later == finish.result.get("later", {"labels": 0, "wrong": 0}):
        return
    run.finishes.put_right(finish.number, found)
    run.finishes.set(finish.number, result={**finish.result, "later": later})
    if finish.state in (TAKEN, WRITTEN) and exceeded(later["labels"], later["wrong"], allowed(finish)):
        message = (
            f"project {run.id}: people changed {later['wrong']} of {later['labels']} labels that the model gave, more "
            f"than an accuracy of {finish.accuracy:g} allows; its guarantee is withdrawn. Take the labels back with: "
            f"lsal finish {run.id} --take-back"
        )
        run.finishes.set(finish.number, state=WITHDRAWN)
        log.warning("%s", message)
        if run.notify is not None:
            run.notify(f"Label Studio {message}")


def allowed(finish: Finish) -> float:
    """Share of the model's labels that may be wrong."""
    if finish.scope != WHOLE:
        return 1 - finish.accuracy
    share: float = finish.result["at_most"] / max(1, finish.result["taken"])
    return min(0.99, share)

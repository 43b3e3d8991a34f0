"""People's later labels of tasks that have the model's label: whether they contradict the guarantee."""

from __future__ import annotations

import logging

from backend.rounds.context import ProjectRun
from backend.rounds.finishing.answers import right
from backend.rounds.finishing.groups import groups_of, name_of
from backend.store.finishes import TAKEN, WITHDRAWN, WRITTEN
from backend.store.sql.models import Finish

log = logging.getLogger(__name__)


def compare(run: ProjectRun, finish: Finish) -> None:
    """Compare later labels with the model's; withdraw the guarantee, aloud, once more are wrong than it allows.

    A share of them proves nothing: people correct the labels that look wrong, and leave no trace of the right ones.
    """
    pairs = run.finishes.relabeled(finish.number)
    errors = [ours for ours, theirs in pairs.values() if not right(run.spec, ours, theirs, finish.tolerance)]
    wrong = len(errors)
    later = {"labels": len(pairs), "wrong": wrong}
    if later == finish.result.get("later", {"labels": 0, "wrong": 0}):
        return
    run.finishes.set(finish.number, result={**finish.result, "later": later})
    names = [name_of(finish.scope, ours) for ours in errors]
    broken = [each for each in groups_of(finish) if names.count(each["name"]) > each["at_most"]]
    if finish.state in (TAKEN, WRITTEN) and broken:
        group = broken[0]
        which = "the labels" if group["name"] is None else f"the labels '{group['name']}'"
        message = (
            f"project {run.id}: people changed {names.count(group['name'])} of {which} that the model gave, and at "
            f"most {group['at_most']} were to be wrong; the guarantee is withdrawn. Take the labels back with: "
            f"lsal finish {run.id} --take-back"
        )
        run.finishes.set(finish.number, state=WITHDRAWN)
        log.warning("%s", message)
        if run.notify is not None:
            run.notify(f"Label Studio {message}")

"""Send a message to NOTIFY_URL, once, when a project may stop labeling."""

from __future__ import annotations

import time

from backend.backoff import delay
from backend.rounds.context import ProjectRun
from backend.rounds.quality.stopping import stopped_by

_PAUSE = 60.0  # seconds after a failed try, doubled with each further one
_LONGEST_PAUSE = 3600.0


def notify(run: ProjectRun) -> None:
    """Send the message if a stop rule is met and it was not sent yet. A process killed after sending may send it again.

    A failed try is repeated in later turns.
    """
    if run.notify is None:
        return
    stopped = stopped_by(run.project, run.options)
    if stopped is None or stopped["told"]:
        return
    tries = stopped.get("tries", 0)
    if 0 <= time.time() - stopped.get("tried_at", 0.0) < delay(tries, _PAUSE, _LONGEST_PAUSE):
        return
    page = f"{run.client.url.rstrip('/')}/projects/{run.id}"
    sent = run.notify(
        f"Label Studio project {run.id}: labeling may stop after {stopped['labels']} labels, {stopped['why']}. {page}"
    )
    after = {"told": sent, "tries": tries + 1, "tried_at": time.time()}
    run.store.projects.set(run.id, stopped={**stopped, **after})

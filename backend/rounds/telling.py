"""Tell whoever asked for it, once, that a project may stop labeling."""

from __future__ import annotations

import time

from backend.rounds.context import Context, options_of
from backend.rounds.stopping import stopped_by

_PAUSE = 60.0  # seconds after a try that failed, then twice as long each time
_LONGEST_PAUSE = 3600.0


def tell(context: Context, project_id: int) -> None:
    """Say it if a rule is met and it was not said yet. A process killed at the wrong moment may say it again."""
    project = context.project(project_id)
    stopped = stopped_by(project, options_of(project))
    if context.notify is None or stopped is None or stopped["told"]:
        return
    tries = stopped.get("tries", 0)
    pause = min(_PAUSE * 2.0 ** min(tries - 1, 16), _LONGEST_PAUSE) if tries else 0.0
    if 0 <= time.time() - stopped.get("tried_at", 0.0) < pause:
        return
    page = f"{context.client.url.rstrip('/')}/projects/{project_id}"
    said = f"Label Studio project {project_id}: labeling may stop after {stopped['labels']} labels, {stopped['why']}"
    told = context.notify(f"{said}. {page}")
    after = {"told": told, "tries": tries + 1, "tried_at": time.time()}
    context.store.projects.set(project_id, stopped={**stopped, **after})

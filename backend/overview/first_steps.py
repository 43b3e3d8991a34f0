"""The first steps of a project, until its model is measured: what is done, and what to do next."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from backend.rounds.context import options_of
from backend.store import Store
from backend.store.sql.models import Project


class FirstStep(TypedDict):
    """A step, which the team or the backend does."""

    name: Literal["connect", "import", "queue", "label", "train", "measure"]
    done: bool
    count: Annotated[int, Field(description="Tasks, tasks in the queue, or labels so far")]
    of: Annotated[int, Field(description="Labels that the step takes; 0 where none are counted")]


def first_steps(store: Store, project: Project) -> list[FirstStep]:
    """In their order; empty once the last one is done.

    Training takes a batch of labels, measuring one held-out label.
    """
    mine, options = store.of(project.id), options_of(project)
    tasks, labels, batch = mine.tasks.count(), mine.tasks.count_labeled(), options.batch_size
    adapter = mine.rounds.adapter(project.adapter)
    trained = adapter is not None and adapter.examples > 0
    queue: list[FirstStep] = [
        {"name": "queue", "done": project.queue > 0, "count": len(mine.rounds.queue(project.queue)), "of": 0}
    ]
    scored = mine.rounds.last("evaluation", done=True) is not None
    measure: list[FirstStep] = [{"name": "measure", "done": scored, "count": 0, "of": 0}]
    steps: list[FirstStep] = [
        {"name": "connect", "done": project.webhook_ready, "count": 0, "of": 0},
        {"name": "import", "done": tasks > 0, "count": tasks, "of": 0},
        *(queue if options.manage_queue else []),
        {"name": "label", "done": trained or labels >= batch, "count": labels, "of": batch},
        {"name": "train", "done": trained, "count": 0, "of": batch},
        *(measure if options.audit_share else []),
    ]
    return [] if steps[-1]["done"] else steps

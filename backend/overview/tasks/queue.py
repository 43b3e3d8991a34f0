"""The tasks that annotators get next, and why they were selected."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict

from backend.store import Store
from backend.store.sql.models import Project

EXCERPT = 240  # characters


class QueuedTask(TypedDict):
    """A task of the queue."""

    task: int
    place: Annotated[int, Field(description="Position in the published queue, from 1")]
    text: Annotated[str | None, Field(description="Start of the text")]
    held_out: bool
    score: Annotated[float | None, Field(description="The strategy's; higher is more useful. Null if held out")]
    chosen_by: Annotated[
        str | None,
        Field(
            description="Strategy, if several share the queue; `person`: put first; `second opinion`: labeled again; "
            "`minimum per class`: its class lacks labels"
        ),
    ]
    why: Annotated[
        dict[str, Any] | None,
        Field(
            description="`says`: predictions with confidence and the two most probable classes; "
            "`novelty`, `density`: share of all candidates with a lower value"
        ),
    ]


class Queue(TypedDict):
    """The queue in force."""

    queue: Annotated[str | None, Field(description="Version")]
    strategy: str | None
    open: Annotated[int, Field(description="Tasks of the queue without a label")]
    all: Annotated[int, Field(description="Tasks of the queue")]
    kept_out: Annotated[int, Field(description="Open tasks of the project that the option `only` keeps out of it")]
    tasks: Annotated[list[QueuedTask], Field(description="Open tasks in their order, the first 100")]


def queue(store: Store, project: Project, most: int) -> Queue:
    """The open tasks of the current queue, in order."""
    items = store.of(project.id).rounds.queue(project.queue)
    still_open = store.of(project.id).tasks.to_label([item.task_id for item in items])
    waiting = [item for item in items if item.task_id in still_open]
    texts = store.of(project.id).tasks.texts([item.task_id for item in waiting[:most]])
    rounds = store.of(project.id).rounds
    made_by = rounds.of_queue(project.queue) or rounds.get(project.round)  # of a round, or between rounds
    versions = {each.queue: each.version for each in store.projects.published(project.id)}
    return {
        "queue": versions.get(project.queue),
        "strategy": made_by.strategy if made_by is not None else None,
        "open": len(waiting),
        "all": len(items),
        "kept_out": store.of(project.id).tasks.count_outside(),
        "tasks": [
            {
                "task": item.task_id,
                "place": item.position + 1,
                "text": excerpt(texts[item.task_id].text) if item.task_id in texts else None,
                "held_out": item.audit,
                "score": item.score,
                "chosen_by": item.chosen_by,
                "why": item.why,
            }
            for item in waiting[:most]
        ],
    }


def excerpt(text: str, most: int = EXCERPT) -> str:
    """The beginning of a text in one line."""
    line = " ".join(text[: 4 * most].split())
    return line if len(line) <= most else line[: most - 1] + "…"

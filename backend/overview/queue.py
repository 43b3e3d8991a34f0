"""The tasks that annotators get next, and why they were selected."""

from __future__ import annotations

from typing import Any

from backend.store import Store
from backend.store.models import Project

EXCERPT = 240  # characters


def queue(store: Store, project: Project, most: int) -> dict[str, Any]:
    """The open tasks of the current queue, in order."""
    items = store.rounds.queue(project.id, project.queue)
    still_open = store.tasks.open_ones(project.id, [item.task_id for item in items])
    waiting = [item for item in items if item.task_id in still_open]
    texts = store.tasks.texts(project.id, [item.task_id for item in waiting[:most]])
    made_by = store.rounds.of_queue(project.id, project.queue)
    versions = {each.queue: each.version for each in store.projects.published(project.id)}
    return {
        "queue": versions.get(project.queue),
        "strategy": made_by.strategy if made_by is not None else None,
        "open": len(waiting),
        "all": len(items),
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

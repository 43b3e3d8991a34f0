"""Compare the store with Label Studio task by task, for whoever doubts that nothing was lost."""

from __future__ import annotations

from typing import Any

from backend.labelstudio.annotations import state_of
from backend.labelstudio.inputs import text_of
from backend.rounds.context import Context, spec_of


def reconcile(context: Context, project_id: int) -> str:
    """What differs, in words; nothing if the store holds what Label Studio does.

    Whatever differs, the next sync reads all of the project again. Between an annotation and the next sync a difference
    is no fault: ask again a minute later.
    """
    project = context.project(project_id)
    spec = spec_of(project)
    theirs: dict[int, tuple[str, dict[str, Any]]] = {}
    for page in context.client.new_tasks(project_id, 0):
        theirs |= {task.id: (text_of(task.data, spec), {}) for task in page}
    last = max(theirs, default=0)
    for annotated in context.client.annotated_tasks(project_id, last):
        for task in annotated:
            theirs[task.id] = (text_of(task.data, spec), state_of(task.id, task.annotations, spec).values)
    tasks = context.store.tasks
    parts = (tasks.labeled(project_id, audit=False), tasks.labeled(project_id, audit=True), tasks.truths(project_id))
    labels = {example.id: example.values for part in parts for example in part}
    ours = {task.id: (task.text, labels.get(task.id, {})) for task in tasks.every(project_id)}
    both = ours.keys() & theirs.keys()
    counts = {
        "tasks are missing here": len(theirs.keys() - ours.keys()),
        "tasks are gone in Label Studio": len(ours.keys() - theirs.keys()),
        "texts differ": sum(ours[number][0] != theirs[number][0] for number in both),
        "labels differ": sum(ours[number][1] != theirs[number][1] for number in both),
    }
    differences = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    if differences:
        context.store.projects.set(project_id, task_mark=0, reread=True, synced_at=0.0)
    return differences

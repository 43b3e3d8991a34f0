"""Compare the store with Label Studio task by task, to verify that nothing was lost."""

from __future__ import annotations

from typing import Any

from backend.labelstudio.annotations import state_of
from backend.labelstudio.label_config.inputs import text_of
from backend.rounds.context import ProjectRun


def reconcile(run: ProjectRun) -> str:
    """The differences as a sentence; empty if the store equals Label Studio.

    After a difference, the next sync reads the whole project again. A difference between an annotation and the next
    sync is normal: compare again a minute later.
    """
    spec = run.spec
    theirs: dict[int, tuple[str, dict[str, Any]]] = {}
    for page in run.client.new_tasks(run.id, 0):
        theirs |= {task.id: (text_of(task.data, spec), {}) for task in page}
    last = max(theirs, default=0)
    for annotated in run.client.annotated_tasks(run.id, last):
        for task in annotated:
            text = text_of(task.data, spec)
            theirs[task.id] = (
                text,
                state_of(task.id, task.annotations, spec, text, run.project.trust).values if text else {},
            )
    tasks = run.tasks
    labels = {example.id: example.values for example, _ in tasks.all_labeled()}
    ours = {task.id: (task.text, labels.get(task.id, {})) for task in tasks.every()}
    both = ours.keys() & theirs.keys()
    counts = {
        "tasks are missing here": len(theirs.keys() - ours.keys()),
        "tasks are gone in Label Studio": len(ours.keys() - theirs.keys()),
        "texts differ": sum(ours[number][0] != theirs[number][0] for number in both),
        "labels differ": sum(ours[number][1] != theirs[number][1] for number in both),
    }
    differences = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    if differences:
        run.store.projects.set(run.id, task_mark=0, reread=True, synced_at=0.0)
    return differences

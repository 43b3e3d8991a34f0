"""Queue → Label Studio: import its predictions, switch the project to them, delete the queues before it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from backend.errors import LabelStudioError
from backend.labelstudio.client import UNCERTAINTY_SAMPLING
from backend.labelstudio.predictions import prediction, queue_version
from backend.learners.kinds import output_names
from backend.rounds.context import Context, learned, options_of, spec_of
from backend.rounds.sync import compare_tasks
from backend.store.models import QueueItem
from backend.store.shards import Shards
from backend.targets import Target

log = logging.getLogger(__name__)

# One prediction created by itself costs 0.1 s whatever the project's size; an import that recounts costs 4.5 ms a task
# of the project for each call: the measured point where the first becomes cheaper.
_TASKS_A_CREATE = 22


def publish(context: Context, project_id: int, version: int, queue: int) -> None:
    """Put a selection in force. Label Studio serves the lowest score first, so the place in the queue is the score.

    Only the selected tasks carry the new version, and it is switched to when all are there; until then the former
    queue serves. Repeated, it finds what an earlier try left and does the rest.
    """
    found = context.client.project(project_id)
    compare_tasks(context, project_id, found)
    items = _still_there(context, project_id, context.store.rounds.queue(project_id, queue))
    if not items:  # everything is labeled: the former queue has nothing left to serve either
        return
    name = queue_version(project_id, version, queue)
    _remember_former(context, project_id, found.sampling, found.model_version)
    context.store.projects.add_published(project_id, queue, name)
    there = context.client.versions(project_id).get(name, 0)
    if there != len(items):
        if there:  # an earlier try got only so far
            context.client.delete_version(project_id, name)
        _import(context, project_id, version, name, items, found.task_number)
    context.client.switch_queue(project_id, sampling=UNCERTAINTY_SAMPLING, model_version=name)
    context.store.projects.set(project_id, queue=queue)
    for former in context.store.projects.published(project_id):
        if former.version != name:
            context.client.delete_version(project_id, former.version)
            context.store.projects.remove_published(project_id, former.queue)


def _import(
    context: Context, project_id: int, version: int, name: str, items: list[QueueItem], task_number: int
) -> None:
    """Import by the cheaper way, and count what arrived."""
    predictions = _predictions(context, project_id, version, name, items)
    slow = task_number > _TASKS_A_CREATE * len(items) and context.client.recounts_on_import(project_id)
    context.client.import_predictions(project_id, predictions, one_by_one=slow)
    created = context.client.versions(project_id).get(name, 0)
    if created != len(items):
        raise LabelStudioError(
            f"Label Studio holds {created} of the {len(items)} predictions of '{name}'; the queue was not switched"
        )


def _still_there(context: Context, project_id: int, items: list[QueueItem]) -> list[QueueItem]:
    """Without the tasks that were deleted since they were selected: one of them would make the import fail."""
    known = context.store.tasks.texts(project_id, [item.task_id for item in items])
    return [item for item in items if item.task_id in known]


def _remember_former(context: Context, project_id: int, sampling: str | None, model_version: str) -> None:
    """Keep what the project had before the first queue, to be given back by `lsal disconnect`."""
    project = context.project(project_id)
    if project.former_sampling is None:
        context.store.projects.set(
            project_id, former_sampling=sampling or "Sequential sampling", former_model_version=model_version
        )


def _predictions(
    context: Context, project_id: int, version: int, name: str, items: list[QueueItem]
) -> list[dict[str, Any]]:
    """One prediction an item: what the adapter says of it; nothing for held-out tasks, and without `pre_annotate`."""
    results: dict[int, list[dict[str, Any]]] = {}
    adapter = context.store.rounds.adapter(project_id, version)
    if adapter is not None and options_of(context.project(project_id)).pre_annotate:
        targets = learned(adapter)
        scores = context.store.files.scores(project_id, version)
        shown = [item.task_id for item in items if not item.audit]
        results = _results(context, project_id, targets, scores, shown)
    return [
        {"task": item.task_id, "result": results.get(item.task_id, []), "score": place / 1e6, "model_version": name}
        for place, item in enumerate(items, start=1)
    ]


def _results(
    context: Context, project_id: int, targets: Sequence[Target], scores: Shards, shown: Sequence[int]
) -> dict[int, list[dict[str, Any]]]:
    """By task, as far as it was scored: a strategy that asks no model chooses from all, also under `shortlist`."""
    spec, tasks = spec_of(context.project(project_id)), list(context.store.tasks.texts(project_id, shown).values())
    there, outputs = scores.found(output_names(targets), [task.digest for task in tasks])
    known = [task for task, is_there in zip(tasks, there, strict=True) if is_there]
    return {task.id: prediction(spec, targets, outputs, row, task.text)[0] for row, task in enumerate(known)}

"""Queue → Label Studio: import its predictions, switch the project to them, delete the queues before it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from backend.errors import LabelStudioError
from backend.labelstudio.api.client import UNCERTAINTY_SAMPLING
from backend.labelstudio.predictions import parse_version, prediction, queue_version
from backend.learners.kinds import output_names
from backend.rounds.adapters import learned
from backend.rounds.connection import second_opinions
from backend.rounds.context import ProjectRun
from backend.rounds.steps.sync import compare_tasks
from backend.store.rounds import SECOND_OPINION
from backend.store.sql.models import QueueItem
from backend.targets import Target

log = logging.getLogger(__name__)

# Creating one prediction takes 0.1 s whatever the project's size; an import that recounts takes 4.5 ms for each task of
# the project. The measured ratio of tasks to predictions above which single calls are faster:
_TASKS_A_CREATE = 22


def applies(run: ProjectRun) -> bool:
    """Whether there is a queue to publish, and the project is still connected."""
    return run.queue is not None and run.project.connected


def publish(run: ProjectRun) -> None:
    """Put the queue in force. Label Studio serves the lowest score first, so the score is the place in the queue.

    Only the selected tasks carry the new version. The project is switched to it when all predictions are there; until
    then the former queue serves. A repeated call completes what an earlier try left.
    """
    assert run.queue is not None
    assert run.number is not None
    put_in_force(run, run.queue)
    run.rounds.set(run.number, queue=run.queue)


def put_in_force(run: ProjectRun, queue: int, *, computing: bool = False) -> None:
    """Import the predictions of a stored queue, switch the project to it, and delete the former one.

    computing: a round is reading the project's texts, so that no task is dropped now.
    """
    found = run.client.project(run.id)
    if not computing:
        compare_tasks(run, found)
    items = _existing(run, run.rounds.queue(queue))
    again = [item.task_id for item in items if item.chosen_by == SECOND_OPINION]
    if again and found.overlap > 1:  # Label Studio then serves tasks that are begun first, at random
        log.warning("project %d: no second opinions, since each task has %d annotators already", run.id, found.overlap)
        items, again = [item for item in items if item.task_id not in again], []
    second_opinions.request(run, again)
    if not items:  # everything is labeled: the former queue has nothing left to serve either
        second_opinions.give_back(run, found.overlap)
        return
    name = queue_version(run.id, run.version, queue)
    _record_former(run, found.sampling, found.model_version)
    run.store.projects.add_published(run.id, queue, name)
    there = run.client.versions(run.id).get(name, 0)
    if there != len(items):
        if there:  # left by an earlier try
            run.client.delete_version(run.id, name)
        _import(run, name, items, found.task_number)
    run.client.switch_queue(run.id, sampling=UNCERTAINTY_SAMPLING, model_version=name)
    run.store.projects.set(run.id, queue=queue)
    second_opinions.give_back(run, found.overlap, keep=again)
    for former in run.store.projects.published(run.id):
        if former.version != name:
            run.client.delete_version(run.id, former.version)
            run.store.projects.remove_published(run.id, former.queue)


def _import(run: ProjectRun, name: str, items: Sequence[QueueItem], task_number: int) -> None:
    """Import in the faster way, and check how many predictions arrived."""
    # The import refuses nested choices, which are lists of paths; single calls and the editor accept them.
    nested = any(control.paths and control.type == "choices" for control in run.spec.controls)
    slow = nested or (task_number > _TASKS_A_CREATE * len(items) and run.client.recounts_on_import(run.id))
    run.client.import_predictions(run.id, predictions(run, name, items), one_by_one=slow)
    created = run.client.versions(run.id).get(name, 0)
    if created != len(items):
        raise LabelStudioError(
            f"Label Studio holds {created} of the {len(items)} predictions of '{name}'; the queue was not switched"
        )


def _existing(run: ProjectRun, items: Sequence[QueueItem]) -> list[QueueItem]:
    """Without tasks that were deleted since the selection: one of them would make the import fail."""
    known = run.tasks.texts([item.task_id for item in items])
    return [item for item in items if item.task_id in known]


def _record_former(run: ProjectRun, sampling: str | None, model_version: str) -> None:
    """Record the project's settings before the first queue, which `lsal disconnect` restores."""
    if run.project.former_sampling is None:
        ours = parse_version(model_version, run.id) is not None  # of a state that was lost
        run.store.projects.set(
            run.id,
            former_sampling=sampling or "Sequential sampling",
            former_model_version="" if ours else model_version,
        )


def predictions(run: ProjectRun, name: str, items: Sequence[QueueItem]) -> list[dict[str, Any]]:
    """One prediction an item, with the adapter's result; an empty one without suggestions.

    Held-out tasks and second opinions have none: their labels may not follow the model.
    """
    results: dict[int, list[dict[str, Any]]] = {}
    adapter = run.rounds.adapter(run.version)
    if adapter is not None and run.options.pre_annotate:
        shown = [item.task_id for item in items if not item.audit and item.chosen_by != SECOND_OPINION]
        results = _results(run, learned(adapter), shown)
    scale = 1000 if len(items) <= 1000 else 10**6  # scores above 1 are refused; three decimals are displayed
    return [
        {"task": item.task_id, "result": results.get(item.task_id, []), "score": place / scale, "model_version": name}
        for place, item in enumerate(items, start=1)
    ]


def _results(run: ProjectRun, targets: Sequence[Target], shown: Sequence[int]) -> dict[int, list[dict[str, Any]]]:
    """Results by task, of scored tasks: with `shortlist`, a strategy without model arrays may select others too."""
    tasks = list(run.tasks.texts(shown).values())
    scores = run.scores
    there, outputs = scores.found(output_names(targets), [task.digest for task in tasks])
    known = [task for task, is_there in zip(tasks, there, strict=True) if is_there]
    return {task.id: prediction(run.spec, targets, outputs, row, task.text)[0] for row, task in enumerate(known)}

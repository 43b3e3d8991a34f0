"""The model's labels as annotations in Label Studio, and taking them back."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence

from backend.errors import LabelStudioError
from backend.labelstudio.controls.base import Region
from backend.labelstudio.model_labels import is_of_model, marked
from backend.labelstudio.predictions import spelled
from backend.rounds.context import ProjectRun
from backend.store.finishes import TAKEN_BACK, WRITTEN, Given
from backend.store.sql.models import Finish

log = logging.getLogger(__name__)

_OF_TASK = (400, 404)  # statuses with which Label Studio refuses one annotation, and not the user


def write(run: ProjectRun, finish: Finish) -> None:
    """Write the taken labels as annotations of the API key's user. May be killed and repeated.

    Each is recorded as taken before, and has a number of its own that Label Studio accepts once. A label without any
    region, such as none of several choices, cannot be recognised there later, and is only kept here.
    """
    run.finishes.set(finish.number, result={**finish.result, "writing": True})
    given = [each for each in run.finishes.given(finish.number) if each.annotation is None]
    texts = run.tasks.texts([each.task_id for each in given])
    people, refused = run.tasks.annotated_ones([each.task_id for each in given]), 0
    given = [each for each in given if each.task_id in texts and each.task_id not in people]
    with run.progress(f"writing {len(given)} labels of the model") as progress:
        for done, each in enumerate(given, start=1):
            result = marked(spelled(run.spec, each.labels, texts[each.task_id].text))
            try:
                number = _create(run, each, result) if result else None
            except LabelStudioError as error:
                if error.status not in _OF_TASK:
                    raise
                refused += 1
            else:
                run.finishes.written(finish.number, each.task_id, number)
            progress(done, len(given))
    message = f"Label Studio refused {refused} of the labels" if refused else None
    run.finishes.set(finish.number, state=WRITTEN, error=message)
    log.info("project %d: %d labels of the model were written as annotations", run.id, len(given) - refused)


def take_back(run: ProjectRun, finish: Finish) -> None:
    """Delete the written annotations that no person has changed, and drop the labels. May be killed and repeated."""
    given = run.finishes.given(finish.number)
    if finish.result.get("writing"):
        known = run.tasks.texts([each.task_id for each in given])
        with run.progress(f"deleting {len(given)} labels of the model") as progress:
            for done, each in enumerate(given, start=1):
                if each.task_id in known:
                    for annotation in run.client.annotations(each.task_id):
                        if is_of_model(annotation):
                            run.client.delete_annotation(annotation["id"])
                run.finishes.give_back([each])
                progress(done, len(given))
    run.finishes.give_back(given)
    run.finishes.set(finish.number, state=TAKEN_BACK)


def _create(run: ProjectRun, given: Given, result: Sequence[Region]) -> int | None:
    """The number of the new annotation, or of the one that an earlier try created."""
    address = f"{run.client.url.rstrip('/')}/projects/{run.id}/finishes/{given.finish}/tasks/{given.task_id}"
    number = run.client.create_annotation(given.task_id, result, str(uuid.uuid5(uuid.NAMESPACE_URL, address)))
    if number is not None:
        return number
    there = [each["id"] for each in run.client.annotations(given.task_id) if is_of_model(each)]
    return there[0] if there else None

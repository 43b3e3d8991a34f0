"""The model's labels as annotations in Label Studio, and taking them back."""

from __future__ import annotations

import logging
import uuid

from backend.labelstudio.annotations import read
from backend.labelstudio.predictions import spelled
from backend.rounds.context import ProjectRun
from backend.rounds.finishing.ours import is_ours
from backend.store.finishes import TAKEN_BACK, WRITTEN, Given
from backend.store.sql.models import Finish

log = logging.getLogger(__name__)


def write(run: ProjectRun, finish: Finish) -> None:
    """Write the taken labels as annotations of the API key's user. May be killed and repeated.

    Each is recorded as ours before, and has a number of its own that Label Studio accepts once.
    """
    given = [each for each in run.finishes.given(finish.number) if each.annotation is None]
    texts = run.tasks.texts([each.task_id for each in given])
    people = run.tasks.annotated_ones([each.task_id for each in given])
    given = [each for each in given if each.task_id in texts and each.task_id not in people]
    with run.progress(f"writing {len(given)} labels of the model") as progress:
        for done, each in enumerate(given, start=1):
            result = spelled(run.spec, each.labels, texts[each.task_id].text)
            number = run.client.create_annotation(each.task_id, result, _unique(run, each))
            if number is None:  # an earlier try wrote it
                there = read(run.client.annotations(each.task_id), run.spec, texts[each.task_id].text)
                number = next((one.id for one in there if one.values == each.labels), None)
            run.finishes.written(finish.number, each.task_id, number)
            progress(done, len(given))
    run.finishes.set(finish.number, state=WRITTEN)
    log.info("project %d: %d labels of the model were written as annotations", run.id, len(given))


def take_back(run: ProjectRun, finish: Finish) -> None:
    """Delete the written annotations that no person has changed, and drop the labels. May be killed and repeated."""
    written = [each for each in run.finishes.given(finish.number) if each.annotation is not None]
    texts = run.tasks.texts([each.task_id for each in written])
    with run.progress(f"deleting {len(written)} labels of the model") as progress:
        for done, each in enumerate(written, start=1):
            if each.task_id in texts:
                there = read(run.client.annotations(each.task_id), run.spec, texts[each.task_id].text)
                if any(is_ours(one, each, writing=False) for one in there):
                    assert each.annotation is not None
                    run.client.delete_annotation(each.annotation)
            run.finishes.written(finish.number, each.task_id, None)
            progress(done, len(written))
    run.finishes.drop(finish.number)
    run.finishes.set(finish.number, state=TAKEN_BACK)


def _unique(run: ProjectRun, given: Given) -> str:
    """The annotation's `unique_id`, the same at every try."""
    address = f"{run.client.url.rstrip('/')}/projects/{run.id}/finishes/{given.finish}/tasks/{given.task_id}"
    return str(uuid.uuid5(uuid.NAMESPACE_URL, address))

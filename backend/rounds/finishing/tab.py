"""A tab of the Data Manager with the least certain labels of the model that were taken."""

from __future__ import annotations

import logging

from backend.errors import LabelStudioError
from backend.labelstudio.api.views import show_with_predictions
from backend.labelstudio.predictions import spelled, taken_version
from backend.rounds.context import ProjectRun

log = logging.getLogger(__name__)

TAB = "Labels of the model"
_MOST = 100  # tasks: each prediction takes Label Studio 0.1 s


def show_taken(run: ProjectRun) -> None:
    """Show the taken labels that the model is least certain of, each as a prediction of its task; after that, none.

    Nothing depends on the tab: if Label Studio refuses it, that is logged.
    """
    given = sorted(run.finishes.given(), key=lambda each: each.confidence)[:_MOST]
    texts = run.tasks.texts([each.task_id for each in given])
    version = taken_version(run.id)
    predictions = [
        {
            "task": each.task_id,
            "result": spelled(run.spec, each.labels, texts[each.task_id].text),
            "score": each.confidence,
            "model_version": version,
        }
        for each in given
        if each.task_id in texts
    ]
    try:
        show_with_predictions(run.client, run.id, TAB, sorted(texts), version, predictions)
    except LabelStudioError as error:
        log.warning("project %d: the tab '%s' is not up to date: %s", run.id, TAB, error)

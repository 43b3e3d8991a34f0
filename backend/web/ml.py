"""The ML-backend interface: what Label Studio calls."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache
from typing import Annotated, Any, Literal

from flask import Blueprint, Response, current_app, g, request

from backend import __version__
from backend.errors import BudgetError, InvalidRequestError
from backend.labelstudio.api.probes import REACHED, TRIAL_PATH
from backend.labelstudio.label_config.inputs import text_of
from backend.labelstudio.label_config.parse import refuse_unknown
from backend.labelstudio.predictions import adapter_version, prediction
from backend.learners.base import Arrays
from backend.options import ProjectOptions
from backend.rounds.context import options_of, parsed, with_former
from backend.rounds.events import SETUP
from backend.rounds.selection.compatibility import refuse_unsupported
from backend.store import Store
from backend.store.projects import is_confirmed
from backend.store.sql.models import Project
from backend.store.texts import held_out
from backend.targets import Target
from backend.web.guards import audit
from backend.web.guards.base_models import AllowedBaseModels
from backend.web.openapi import Media, document, operation
from backend.web.request_bodies import MOST_TASKS, Event, Predict, Setup
from backend.web.responses import Health, ModelVersion, Noted, Predictions, Versions
from backend.web.serving import Serving

_MODEL_CLASS = "LabelStudioActiveLearning"
_MOST_UNCONFIRMED = 50  # projects: anyone who reaches /setup can invent numbers
_MOST_CHARACTERS = 1_000_000  # per text


class _ReachedError(InvalidRequestError):
    status = 409


class _TooMuchError(InvalidRequestError):
    status = 413


class _WaitError(InvalidRequestError):
    status = 503


class _ForbiddenError(InvalidRequestError):
    status = 403


def blueprint(store: Store, serving: Serving, allowed: AllowedBaseModels) -> Blueprint:
    """All routes of the interface."""
    routes = Blueprint("ml", __name__)

    @cache
    def description() -> str:
        return json.dumps(document(current_app), indent=1)

    @routes.get("/")
    @operation()
    def index() -> Health:
        """Whether the server runs, and its version."""
        return {"status": "UP", "model_class": _MODEL_CLASS, "version": __version__}

    @routes.get("/health")
    @operation()
    def health() -> Health:
        """Whether the server runs."""
        return {"status": "UP", "model_class": _MODEL_CLASS}

    @routes.get(f"/{TRIAL_PATH}/health")
    def trial() -> Response:
        """Answer 409: the backend is reachable, and Label Studio does not save the trial connection."""
        raise _ReachedError(REACHED)

    @routes.post("/setup")
    @operation(503)
    def setup(body: Setup) -> ModelVersion:
        """Connect a project, or update its label config and options.

        Label Studio repeats this call often. The worker has work only if something changed.
        """
        project_id, schema, extra = body.project, body.label_config, body.extra_params
        options = with_former(ProjectOptions.from_extra_params(extra), store.projects.get(project_id))
        spec = parsed(schema, options)
        given = extra or {}
        if "base_model" in given:  # otherwise the operator named it
            allowed.refuse_other(project_id, options.base_model)
        refuse_unknown(schema, given.get("ignore_controls", ()), given.get("context") or ())
        refuse_unsupported(options, spec.targets)
        serving.refuse_unknown(options.base_model)
        if store.projects.get(project_id) is None:
            _refuse_another_unconfirmed(store)
        new = store.projects.connect(project_id, label_config=schema, options=extra or {}, host=request.host)
        if new:
            store.events.add(project_id, SETUP)
            audit.record(store, "settings", project_id, ", ".join(f"{name} {each}" for name, each in given.items()))
        project = store.projects.get(project_id)
        return {"model_version": adapter_version(project_id, project.adapter if project else 0)}

    @routes.post("/predict")
    @operation(503)
    def predict(body: Predict) -> Predictions:
        """Predictions for tasks, in their order.

        An empty list for a task without text, for one that tests the model, and before the first adapter.
        """
        tasks, project_id, config = body.tasks, body.project, body.label_config
        if len(tasks) > MOST_TASKS:
            raise _TooMuchError(f"{len(tasks)} tasks in one call; select at most {MOST_TASKS} at a time")
        project = serving.project(project_id)
        if project is None or not project.adapter:
            return {"results": [[] for _ in tasks]}
        options = options_of(project)
        spec = parsed(config if isinstance(config, str) and config else project.label_config, options)
        texts = [text_of(task.get("data"), spec) for task in tasks]
        for task, text in zip(tasks, texts, strict=True):
            if len(text) > _MOST_CHARACTERS:
                raise _TooMuchError(
                    f"The text of task {task.get('id')} has {len(text)} characters, more than {_MOST_CHARACTERS}; "
                    "split it, or leave the task out"
                )
        blank = serving.blank(project_id)
        asked = [
            position
            for position, (task, text) in enumerate(zip(tasks, texts, strict=True))
            if text.strip() and task.get("id") not in blank and not _is_held_out(task.get("id"), project, options)
        ]
        if not asked:
            return {"results": [[] for _ in tasks], "model_version": adapter_version(project_id, project.adapter)}
        results: list[Any] = [[] for _ in tasks]
        version = adapter_version(project_id, project.adapter)  # of those that cannot be answered
        for positions, version, learned, outputs in _predicted(serving, project_id, texts, asked):
            for row, position in enumerate(positions):
                regions, confidence = prediction(spec, learned, outputs, row, texts[position])
                if regions:
                    results[position] = {"result": regions, "score": confidence, "model_version": version}
        return {"results": results, "model_version": version}

    @routes.post("/webhook")
    @operation(503)
    def webhook(body: Event) -> tuple[Noted, Literal[200, 201]]:
        """Store an event of Label Studio.

        The secret of the project's webhook replaces user and password. The worker reads the details from Label Studio.
        """
        only = g.get("only_project")  # the secret is that of its webhook
        if only not in (None, body.project):
            raise _ForbiddenError(
                f"The webhook secret is that of project {only}, the event is of project {body.project}"
            )
        if store.events.note(body.project, body.action):  # webhooks remain after the model is disconnected
            return {"status": "noted"}, 201
        return {"status": "ignored", "reason": "the project is not connected to this backend"}, 200

    @routes.get("/versions")
    @operation()
    def versions() -> Versions:
        """All adapter versions."""
        return {"versions": [adapter_version(*adapter) for adapter in store.rounds.adapters()]}

    @routes.get("/openapi.json")
    @operation()
    def openapi() -> Annotated[Response, Media("application/json", {"type": "object"})]:
        """The document that you are reading."""
        return Response(description(), content_type="application/json")

    return routes


def _refuse_another_unconfirmed(store: Store) -> None:
    waiting = sum(not is_confirmed(each) for each in store.projects.all(connected=False))
    if waiting >= _MOST_UNCONFIRMED:
        raise _WaitError(
            f"{waiting} projects wait until Label Studio confirms that they exist; repeat in a minute, and see the "
            "worker's log if this persists"
        )


def _predicted(
    serving: Serving, project_id: int, texts: Sequence[str], asked: Sequence[int]
) -> Iterator[tuple[Sequence[int], str, Sequence[Target], Arrays]]:
    """Positions of texts with version, targets and outputs: of all, or of those that need no call of `llm_budget`."""
    try:
        yield asked, *serving.predict(project_id, [texts[position] for position in asked])
    except BudgetError:
        for position in asked:
            with suppress(BudgetError):
                yield [position], *serving.predict(project_id, [texts[position]])


def _is_held_out(task_id: Any, project: Project, options: ProjectOptions) -> bool:
    """Whether a task measures the model, so that no suggestion may reach its annotator."""
    return isinstance(task_id, int) and held_out(options.seed, task_id, project.held_out_share or 0.0)

"""The ML-backend interface: what Label Studio calls."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, g, jsonify, request

from backend import __version__
from backend.errors import InvalidRequestError
from backend.labelstudio.inputs import text_of
from backend.labelstudio.label_config import parse, refuse_unknown
from backend.labelstudio.predictions import adapter_version, prediction
from backend.labelstudio.probes import REACHED, TRIAL_PATH
from backend.options import ProjectOptions
from backend.rounds.context import options_of
from backend.rounds.events import SETUP
from backend.rounds.selection.compatibility import refuse_unsupported
from backend.store import Store
from backend.web.bodies import json_body, project_number
from backend.web.serving import Serving

_MODEL_CLASS = "LabelStudioActiveLearning"
_DESCRIPTION = Path(__file__).with_name("openapi.json")
_MOST_TASKS = 50_000  # per request
_MOST_CHARACTERS = 1_000_000  # per text


class _ReachedError(InvalidRequestError):
    status = 409


class _TooMuchError(InvalidRequestError):
    status = 413


class _ForbiddenError(InvalidRequestError):
    status = 403


def blueprint(store: Store, serving: Serving) -> Blueprint:
    """All routes of the interface."""
    routes = Blueprint("ml", __name__)

    @routes.get("/")
    def index() -> Response:
        return jsonify(status="UP", model_class=_MODEL_CLASS, version=__version__)

    @routes.get("/health")
    def health() -> Response:
        return jsonify(status="UP", model_class=_MODEL_CLASS)

    @routes.get(f"/{TRIAL_PATH}/health")
    def trial() -> Response:
        """Answer 409: the backend is reachable, and Label Studio does not save the trial connection."""
        raise _ReachedError(REACHED)

    @routes.post("/setup")
    def setup() -> Response:
        """Store a project. Label Studio repeats this call often, so only changes create an event for the worker."""
        body = json_body()
        project_id = project_number(body.get("project"))
        config = body.get("schema")
        extra = _as_object(body.get("extra_params"))
        options = ProjectOptions.from_extra_params(extra)
        schema = config if isinstance(config, str) else ""
        spec = parse(schema, options.ignore_controls)
        refuse_unknown((extra or {}).get("ignore_controls", ()), schema)
        refuse_unsupported(options, spec.targets)
        serving.refuse_unknown(options.base_model)
        new = store.projects.connect(project_id, label_config=str(config), options=extra or {}, host=request.host)
        if new:
            store.events.add(project_id, SETUP)
        project = store.projects.get(project_id)
        return jsonify(model_version=adapter_version(project_id, project.adapter if project else 0))

    @routes.post("/predict")
    def predict() -> Response:
        """One list of predictions per task, in the order of the request; empty without an adapter or a text."""
        body = json_body()
        tasks = body.get("tasks")
        if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
            raise InvalidRequestError("'tasks' must be a list of tasks, each an object with 'data'")
        if len(tasks) > _MOST_TASKS:
            raise _TooMuchError(f"{len(tasks)} tasks in one call; select at most {_MOST_TASKS} at a time")
        project_id = project_number(body.get("project"))
        project = serving.project(project_id)
        if project is None or not project.adapter:
            return jsonify(results=[[] for _ in tasks])
        config = body.get("label_config")
        ignored = options_of(project).ignore_controls
        spec = parse(config if isinstance(config, str) and config else project.label_config, ignored)
        texts = [text_of(task.get("data"), spec) for task in tasks]
        for task, text in zip(tasks, texts, strict=True):
            if len(text) > _MOST_CHARACTERS:
                raise _TooMuchError(
                    f"The text of task {task.get('id')} has {len(text)} characters, more than {_MOST_CHARACTERS}; "
                    "split it, or leave the task out"
                )
        asked = [position for position, text in enumerate(texts) if text.strip()]
        if not asked:
            return jsonify(results=[[] for _ in tasks], model_version=adapter_version(project_id, project.adapter))
        adapter, learned, outputs = serving.predict(project_id, [texts[position] for position in asked])
        version = adapter_version(project_id, adapter)
        results: list[Any] = [[] for _ in tasks]
        for row, position in enumerate(asked):
            regions, confidence = prediction(spec, learned, outputs, row, texts[position])
            if regions:
                results[position] = {"result": regions, "score": confidence, "model_version": version}
        return jsonify(results=results, model_version=version)

    @routes.post("/webhook")
    def webhook() -> tuple[Response, int]:
        """Store that an event occurred. The worker reads the data itself from Label Studio."""
        if note(store, json_body(), only=g.get("only_project")):
            return jsonify(status="noted"), 201
        return jsonify(status="ignored", reason="the project is not connected to this backend"), 200

    @routes.get("/versions")
    def versions() -> Response:
        return jsonify(versions=[adapter_version(*adapter) for adapter in store.rounds.adapters()])

    @routes.get("/openapi.json")
    def openapi() -> Response:
        return Response(_DESCRIPTION.read_bytes(), content_type="application/json")

    return routes


def note(store: Store, event: dict[str, Any], *, only: int | None = None) -> bool:
    """Store an event. False if its project is not connected: webhooks remain after the model is disconnected.

    only: the project that the caller may send events of; None: all.
    """
    action = event.get("action")
    if not isinstance(action, str) or not re.fullmatch("[A-Z_]{1,64}", action):
        raise InvalidRequestError("'action' must be an event name in capitals, such as ANNOTATION_CREATED")
    project = event.get("project")
    project_id = project_number(project.get("id") if isinstance(project, dict) else project)
    if only not in (None, project_id):
        raise _ForbiddenError(f"The webhook secret is that of project {only}, the event is of project {project_id}")
    known = store.projects.get(project_id)
    if known is None or not known.connected:
        return False
    store.events.add(project_id, action)
    return True


def _as_object(extra_params: Any) -> Any:
    """The decoded value. Label Studio forwards what its API received: an object, or JSON in a string."""
    if isinstance(extra_params, str) and extra_params.strip():
        try:
            return request.json_module.loads(extra_params)
        except (ValueError, RecursionError):
            raise InvalidRequestError("extra_params is not JSON") from None
    return extra_params

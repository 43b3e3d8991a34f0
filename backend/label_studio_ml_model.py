"""Our backend as a model of label-studio-ml, for teams whose models are all served by it.

    label-studio-ml start …      (1.0.9), or its 2.x server, with `ActiveLearning` as the model class
    lsal worker                  beside it, on the same MODEL_DIR

Its two lines agree on little: 1.0.9 makes a model of (label_config, train_output, …) and keeps one for all projects,
2.x of (project_id, label_config). Both serve with Flask and make a model in the request. So each request is handed on
to our own application, and its answer replaces theirs.
"""

from __future__ import annotations

from functools import cache
from io import BytesIO
from typing import Any

from flask import Flask, after_this_request, has_request_context, request
from label_studio_ml.model import LabelStudioMLBase
from werkzeug.wrappers import Response

from backend.cli.build import application, open_store
from backend.web.bodies import Event, checked
from backend.web.ml import note


class ActiveLearning(LabelStudioMLBase):  # type: ignore[misc] # label-studio-ml has no types
    """Answers /setup, /predict and events as `lsal web` does. Rounds are run by `lsal worker`."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        if has_request_context() and request.path.endswith("/setup"):
            _hand_on()  # before theirs, which fails on a label config that we refuse with a sentence
        super().__init__(*arguments, **named)

    def predict(self, tasks: list[dict[str, Any]], *_: Any, **__: Any) -> Any:
        """The predictions of our own server, one a task; none if it refuses, which the answer then says."""
        answer = _hand_on().get_json()
        return answer.get("results", [[] for _ in tasks])

    def fit(self, *_: Any, **__: Any) -> None:
        """Note the event of the request (2.x)."""
        _hand_on()

    def process_event(self, event: str, data: dict[str, Any], *_: Any) -> dict[str, Any]:
        """Note an event in the process that 1.0.9 starts for each. Its own method ignores those of tasks."""
        note(open_store(), checked(Event, {**data, "action": event}))
        return {}


@cache
def _ours() -> Flask:
    return application()


def _hand_on() -> Response:
    """Let our own application answer the request in progress."""
    environment = {**request.environ, "wsgi.input": BytesIO(request.get_data())}
    answer = Response.from_app(_ours(), environment, buffered=True)
    after_this_request(lambda _: answer)
    return answer

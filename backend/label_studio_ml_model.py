"""The backend as a model of label-studio-ml, for teams that serve all their models with it.

    label-studio-ml start …      (1.0.9), or its 2.x server, with `ActiveLearning` as the model class
    lsal worker                  in addition, on the same MODEL_DIR

Its two release lines differ: 1.0.9 creates a model from (label_config, train_output, …) and keeps one for all projects;
2.x creates it from (project_id, label_config). Both serve with Flask and create the model during a request. So each
request is passed on to this backend's own application, whose response replaces theirs.
"""

from __future__ import annotations

from functools import cache
from io import BytesIO
from multiprocessing import parent_process
from typing import Any

from flask import Flask, after_this_request, has_request_context, request
from label_studio_ml.model import LabelStudioMLBase
from werkzeug.wrappers import Response

from backend.cli.build import application, open_store
from backend.web.request_bodies import Event, checked

if parent_process() is None:  # in the server: Label Studio waits seconds only. The processes for events need it not
    import backend.app  # noqa: F401 (`application` imports it with the first request, which takes seconds)


class ActiveLearning(LabelStudioMLBase):  # type: ignore[misc] # label-studio-ml has no types
    """Answers /setup, /predict and events like `lsal web`. `lsal worker` runs the rounds."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        if has_request_context() and request.path.endswith("/setup"):
            _hand_on()  # before their constructor, which fails on a label config that we refuse with a message
        super().__init__(*arguments, **named)

    def predict(self, tasks: list[dict[str, Any]], *_: Any, **__: Any) -> Any:
        """Predictions of our application, one per task; empty if it refuses. The response then has the reason."""
        answer = _hand_on().get_json()
        return answer.get("results", [[] for _ in tasks])

    def fit(self, *_: Any, **__: Any) -> None:
        """Record the event of the request (2.x)."""
        _hand_on()

    def process_event(self, event: str, data: dict[str, Any], *_: Any) -> dict[str, Any]:
        """Record an event, in the process that 1.0.9 starts for each. The inherited method ignores events of tasks."""
        known = checked(Event, {**data, "action": event})
        open_store().events.note(known.project, known.action)
        return {}


@cache
def _ours() -> Flask:
    return application()


def _hand_on() -> Response:
    """Let our application answer the current request."""
    environment = {**request.environ, "wsgi.input": BytesIO(request.get_data())}
    answer = Response.from_app(_ours(), environment, buffered=True)
    after_this_request(lambda _: answer)
    return answer

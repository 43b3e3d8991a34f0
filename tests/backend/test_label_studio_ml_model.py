"""The same requests to label-studio-ml's server and to ours: the same answers."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from importlib import import_module, reload
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, jsonify, request
from flask.testing import FlaskClient
from label_studio_sdk.label_interface.interface import LabelInterface

from backend.cli import build
from backend.store import Store
from tests.backend.web.test_ml import CONFIG
from tests.real import wait_for

SETUP = {"project": "7.1700000000", "schema": CONFIG, "hostname": "http://theirs", "access_token": "secret"}
TASKS = [{"id": 1, "data": {"text": "there is my apple and pear"}}, {"id": 2, "data": {"text": ""}}]
PREDICT = {
    "tasks": TASKS,
    "project": "7.1700000000",
    "label_config": CONFIG,
    "params": {"login": None, "password": None},
}
EVENT = {"action": "ANNOTATION_CREATED", "project": {"id": 7, "label_config": CONFIG}, "annotation": {}, "task": {}}


@pytest.fixture
def ours(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    """Our own server, on the environment that theirs will find, too."""
    monkeypatch.setenv("MODEL_DIR", str(tmp_path / "store"))
    return build.application().test_client()


@pytest.fixture(params=["1.0.9", "2.x"])
def theirs(ours: FlaskClient, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FlaskClient]:
    if request.param == "1.0.9":
        from label_studio_ml.api import init_app

        module = import_module("backend.label_studio_ml_model")
        module._ours.cache_clear()
        yield init_app(model_class=module.ActiveLearning, model_dir=str(tmp_path / "theirs")).test_client()
        return
    installed = sys.modules.get("label_studio_ml.model") or import_module("label_studio_ml.model")
    sys.modules["label_studio_ml.model"] = types.ModuleType("label_studio_ml.model")
    sys.modules["label_studio_ml.model"].LabelStudioMLBase = SecondLine  # type: ignore[attr-defined]
    try:
        module = reload(import_module("backend.label_studio_ml_model"))
        yield second_line_server(module.ActiveLearning).test_client()
    finally:
        sys.modules["label_studio_ml.model"] = installed
        reload(import_module("backend.label_studio_ml_model"))


class SecondLine:
    """What a model of the 2.x line is made of and asked for, read in its sources: it is not on PyPI."""

    def __init__(self, project_id: str | None = None, label_config: str | None = None) -> None:
        LabelInterface(config=label_config)

    def set_extra_params(self, extra_params: Any) -> None:
        """2.x keeps them for itself, as text."""

    def get(self, key: str) -> str:
        return "0.0.1"


def second_line_server(model_class: Any) -> Flask:
    """The calls that the server of the 2.x line makes to a model."""
    app = Flask("second line")

    app.register_error_handler(Exception, lambda error: (f"their traceback of {error}", 500))

    @app.post("/setup")
    def setup() -> Any:
        data = request.json or {}
        model = model_class(project_id=data["project"].split(".", 1)[0], label_config=data["schema"])
        if data.get("extra_params"):
            model.set_extra_params(data["extra_params"])
        return jsonify({"model_version": model.get("model_version")})

    @app.post("/predict")
    def predict() -> Any:
        data = request.json or {}
        params = data.get("params", {})
        context = params.pop("context", {})
        model = model_class(project_id=data["project"].split(".", 1)[0], label_config=data["label_config"])
        return jsonify({"results": model.predict(data["tasks"], context=context, **params)})

    @app.post("/webhook")
    def webhook() -> Any:
        data = request.json or {}
        event = data.pop("action")
        if event not in ("ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATION_DELETED", "START_TRAINING"):
            return jsonify({"status": "Unknown event"}), 200
        model_class(str(data["project"]["id"]), label_config=data["project"]["label_config"]).fit(event, data)
        return jsonify({}), 201

    return app


def both(ours: FlaskClient, theirs: FlaskClient, path: str, body: dict[str, Any]) -> tuple[str, Any]:
    own, other = ours.post(path, json=body), theirs.post(path, json=body)
    assert (other.status, other.get_json()) == (own.status, own.get_json())
    return own.status, own.get_json()


def test_setup_and_refusals(ours: FlaskClient, theirs: FlaskClient) -> None:
    assert both(ours, theirs, "/setup", SETUP) == ("200 OK", {"model_version": "p7-a0"})
    status, _ = both(ours, theirs, "/setup", {**SETUP, "extra_params": {"strategy": "foo"}})
    assert status.startswith("422 extra_params")
    assert "strategy 'foo' is unknown" in status
    assert both(ours, theirs, "/setup", {**SETUP, "schema": ""})[0].startswith("422 The label config is empty")


def test_predictions(ours: FlaskClient, theirs: FlaskClient, adapter: Any) -> None:
    both(ours, theirs, "/setup", SETUP)
    assert both(ours, theirs, "/predict", PREDICT)[1] == {"results": [[], []]}
    adapter(1)
    status, answer = both(ours, theirs, "/predict", PREDICT)
    first, empty = answer["results"]
    assert (status, first["result"][0]["value"], empty) == ("200 OK", {"choices": ["fruit"]}, [])
    assert first["model_version"] == "p7-a1"
    assert both(ours, theirs, "/predict", {**PREDICT, "tasks": "all"})[0].startswith("400 'tasks' must be a list")


def test_events(ours: FlaskClient, theirs: FlaskClient, store: Store) -> None:
    both(ours, theirs, "/setup", SETUP)
    before = store.events.newest()[7]
    assert theirs.post("/webhook", json=EVENT).status_code == 201
    wait_for("the event", lambda: store.events.newest()[7] > before)

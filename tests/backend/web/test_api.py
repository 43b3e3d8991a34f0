"""What a team's own scripts can ask of a project."""

from __future__ import annotations

import io
from typing import Any
from zipfile import ZipFile

import pytest
from flask.testing import FlaskClient

from backend.app import create_app
from backend.learners.models.cache import BaseModels
from backend.options import ProjectOptions
from backend.settings import Settings
from backend.store import Store
from backend.web.serving import Serving
from tests.backend.web.test_ml import SETUP


@pytest.fixture
def client(store: Store) -> FlaskClient:
    app = create_app(Settings(), store, Serving(store, BaseModels()))  # type: ignore[call-arg]
    return app.test_client()


def test_an_unknown_project_is_a_sentence(client: FlaskClient) -> None:
    for number, status in (("7", 404), ("0", 404), ("x", 400), ("99999999999", 404)):
        answer = client.get(f"/api/projects/{number}")
        assert answer.status_code == status
        assert "project" in answer.get_json()["error"]


def test_what_the_last_rounds_knew(client: FlaskClient, store: Store) -> None:
    client.post("/setup", json=SETUP)
    state: Any = client.get("/api/projects/7").get_json()
    assert (state["adapter"], state["labels"], state["evaluation"], state["stopped"]) == ("p7-a0", 0, None, None)
    store.of(7).rounds.begin(1, reason="test")
    store.of(7).rounds.set(1, evaluation={"labels": 3}, stopping={"settled": False})
    rules = ProjectOptions.from_extra_params({}).model_dump(
        include={"target", "target_risk", "budget", "budget_hours"}, exclude_none=True
    )
    store.projects.set(7, stopped={"rules": rules, "why": "x", "round": 1, "labels": 9, "at": 1.0, "told": True})
    store.of(7).rounds.begin(2, reason="test")
    state = client.get("/api/projects/7").get_json()
    assert (state["round"], state["evaluation"], state["stopping"]) == (2, {"labels": 3}, {"settled": False})
    assert state["stopped"] == {"why": "x", "round": 1, "labels": 9, "at": 1.0}
    store.projects.set(7, stopped={"rules": {**rules, "budget": 5}, "why": "x", "round": 1, "labels": 9, "at": 1.0})
    assert client.get("/api/projects/7").get_json()["stopped"] is None, "the rules have changed since"


@pytest.fixture
def played_client(played: Store) -> FlaskClient:
    return create_app(Settings(), played, Serving(played, BaseModels())).test_client()  # type: ignore[call-arg]


def test_every_panel_has_its_json(played_client: FlaskClient) -> None:
    def get(path: str) -> Any:
        answer = played_client.get(f"/api/projects{path}")
        assert answer.status_code == 200, answer.text
        return answer.get_json()

    assert [each["project"] for each in get("")["projects"]] == [7]
    assert len(get("/7/quality")["controls"]["topic"]["points"]) == 2
    assert sum(get("/7/classes")["topic"].values()) == 60
    assert get("/7/queue")["queue"] == "p7-a2-q3"
    assert [each["round"] for each in get("/7/rounds")["rounds"]] == [3, 2, 1]
    assert len(get("/7/annotators")["annotators"]) == 2
    assert get("/7/suspects")["errors"]["topic"]["labels"] == 60
    assert len(get("/7/map")["tasks"]) == 90
    assert get("/7/tasks/4")["labels"] == {"topic": "tool"}
    assert [each["number"] for each in get("/7/adapters")["adapters"]] == [2, 1]


def test_labels_and_adapters_to_take_away(played_client: FlaskClient) -> None:
    labels = played_client.get("/api/projects/7/labels")
    assert 'filename="project-7-labels.jsonl"' in labels.headers["Content-Disposition"]
    assert len(labels.text.splitlines()) == 60
    adapter = played_client.get("/api/projects/7/adapters/2")
    assert "p7-a2.zip" in adapter.headers["Content-Disposition"]
    names = ZipFile(io.BytesIO(adapter.data)).namelist()
    assert {"p7-a2/README.md", "p7-a2/adapter_model.safetensors", "p7-a2/heads.safetensors"} <= set(names)


def test_what_is_not_there_is_said(played_client: FlaskClient) -> None:
    for path, sentence in (
        ("adapters/9", "adapter 9 of project 7 is not kept"),
        ("tasks/999", "task 999 is not known"),
    ):
        answer = played_client.get(f"/api/projects/7/{path}")
        assert answer.status_code == 404
        assert sentence in answer.get_json()["error"]


def test_a_script_can_ask_for_what_the_buttons_do(played_client: FlaskClient, played: Store) -> None:
    def ask(action: str, body: Any = None) -> tuple[int, Any]:
        answer = played_client.post(f"/api/projects/7/{action}", json=body)
        return answer.status_code, answer.get_json()

    assert ask("rounds") == (202, {"status": "asked for"})
    assert ask("strategy", {"strategy": "entropy"})[0] == 202
    assert ask("pause", {"paused": True})[0] == 202
    assert ask("rollback", {"adapter": 1})[0] == 202
    state: Any = played_client.get("/api/projects/7").get_json()
    assert (state["chosen_strategy"], state["paused"]) == ("entropy", True)
    assert ask("strategy", {"strategy": 3})[0] == ask("strategy", {})[0] == ask("pause", {"paused": 1})[0] == 400
    assert ask("rollback", {"adapter": True})[0] == 400
    played.projects.set(7, connected=False)
    assert ask("rounds")[0] == 409

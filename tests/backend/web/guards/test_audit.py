"""The audit trail: actions, downloads and failed sign-ins."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy.exc import OperationalError

from backend.app import create_app
from backend.learners.models.cache import BaseModels
from backend.settings import Settings
from backend.store import Store
from backend.store import audit as trail
from backend.web.serving import Serving
from tests.backend.web.test_ml import SETUP

AUTH = ("ann", "a password")


@pytest.fixture
def client(played: Store) -> FlaskClient:
    settings = Settings(basic_auth_user=AUTH[0], basic_auth_pass=AUTH[1])
    return create_app(settings, played, Serving(played, BaseModels())).test_client()


def entries(store: Store) -> list[tuple[Any, ...]]:
    return [(each.user, each.origin, each.action, each.project_id, each.detail) for each in store.audit.newest(7, 9)]


def test_actions_and_downloads(client: FlaskClient, played: Store) -> None:
    client.post("/api/projects/7/strategy", json={"strategy": "entropy"}, auth=AUTH)
    client.post("/ui/projects/7/pause", data={"paused": "1"}, auth=AUTH)
    client.post("/ui/projects/7/train", auth=AUTH)
    client.get("/api/projects/7/labels", auth=AUTH)
    client.get("/api/projects/7/adapters/2", auth=AUTH)
    client.post("/setup", json={**SETUP, "extra_params": {"batch_size": 9, "seed": 3}}, auth=AUTH)
    client.post("/setup", json={**SETUP, "extra_params": {"batch_size": 9, "seed": 3}}, auth=AUTH)
    here = ("ann", "127.0.0.1")
    assert entries(played) == [
        (*here, "settings", 7, "batch_size 9, seed 3"),
        (*here, "adapter downloaded", 7, "2"),
        (*here, "labels downloaded", 7, ""),
        (*here, "round", 7, ""),
        (*here, "pause", 7, "paused 1"),
        (*here, "strategy", 7, "strategy entropy"),
    ]
    listed = client.get("/api/projects/7/audit", auth=AUTH).get_json()["entries"]
    assert [each["action"] for each in listed] == [each[2] for each in entries(played)]
    page = client.get("/ui/projects/7", auth=AUTH).text
    assert page.index("Audit trail") < page.index("downloaded an adapter") < page.index("chose a strategy")


def test_what_is_refused_is_no_action(client: FlaskClient, played: Store) -> None:
    assert client.post("/api/projects/7/strategy", json={"strategy": "foo"}, auth=AUTH).status_code == 422
    assert client.get("/api/projects/7/labels").status_code == 401
    assert client.get("/api/projects/7/rounds", auth=AUTH).status_code == 200
    assert entries(played) == []


def test_wrong_passwords_are_recorded_once_a_minute_for_each_address(client: FlaskClient, played: Store) -> None:
    for _ in range(5):
        client.get("/ui/", auth=("ann", "a guess"))
    client.get("/ui/", auth=("eve", "a guess"), environ_base={"REMOTE_ADDR": "192.0.2.1"})
    assert entries(played) == [
        ("eve", "192.0.2.1", "failed sign-in", None, ""),
        ("ann", "127.0.0.1", "failed sign-in", None, ""),
    ]


def test_the_oldest_entries_go(played: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trail, "_MOST", 3)
    for number in range(5):
        played.audit.add("round", 7, user="x" * 1000, origin="here", detail=str(number))
    assert [(each.detail, len(each.user)) for each in played.audit.newest(7, 9)] == [("4", 200), ("3", 200), ("2", 200)]
    assert played.audit.newest(8, 9) == []


def test_other_methods_and_odd_bodies_are_no_actions(client: FlaskClient, played: Store) -> None:
    for path in ("/ui/projects/7/anything", "/ui/projects/abc/x", "/api/projects/7/rounds"):
        assert client.options(path, auth=AUTH).status_code == 200
    assert client.head("/api/projects/7/labels", auth=AUTH).status_code == 200
    assert entries(played) == []
    assert client.post("/api/projects/7/rounds", json=[1], auth=AUTH).status_code == 202
    assert [each[2:] for each in entries(played)] == [("round", 7, "")]


def test_without_a_password_nobody_has_a_name(played: Store) -> None:
    client = create_app(Settings(), played, Serving(played, BaseModels())).test_client()  # type: ignore[call-arg]
    client.post("/api/projects/7/rounds", auth=("forged", "x"))
    assert entries(played) == [("", "127.0.0.1", "round", 7, "")]


def test_failed_sign_ins_do_not_push_out_the_rest(played: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trail, "_MOST_SIGN_INS", 2)
    played.audit.add("round", 7, user="ann", origin="here")
    for number in range(5):
        played.audit.add(trail.FAILED_SIGN_IN, None, user=str(number), origin="there")
    assert [each.user for each in played.audit.newest(7, 9)] == ["4", "3", "ann"]


def test_with_a_full_disk_actions_are_possible(
    client: FlaskClient, played: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OperationalError("INSERT", {}, OSError("disk full"))

    monkeypatch.setattr(played.audit, "add", full)
    assert client.post("/api/projects/7/rounds", auth=AUTH).status_code == 202

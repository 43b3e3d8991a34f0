"""A damaged adapter in service: an older one serves in its place, and the worker is told to train another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy.exc import OperationalError

from backend.app import create_app
from backend.learners.models.cache import BaseModels
from backend.rounds.events import DAMAGED
from backend.settings import Settings
from backend.store import Store
from backend.web.serving import Serving
from tests.backend.web.test_ml import SETUP, predict


@pytest.fixture
def client(store: Store) -> FlaskClient:
    made = create_app(Settings(), store, Serving(store, BaseModels())).test_client()  # type: ignore[call-arg]
    made.post("/setup", json=SETUP)
    return made


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("harm", [truncate, flip, Path.unlink])
@pytest.mark.parametrize("name", ["adapter_model.safetensors", "heads.safetensors", "learner.json", "checksums.json"])
def test_an_older_adapter_serves_in_the_place_of_a_damaged_one(
    client: FlaskClient, store: Store, adapter: Any, name: str, harm: Any
) -> None:
    adapter(1)
    adapter(2)
    path = store.files.adapters(7).path(2) / name
    harm(path)
    if name == "checksums.json" and harm is Path.unlink:
        assert predict(client, "an apple")[0]["model_version"] == "p7-a2", "as adapters of earlier releases are"
        return
    for _ in range(3):
        assert predict(client, "an apple")[0]["model_version"] == "p7-a1"
    project = store.projects.get(7)
    assert project is not None
    assert "adapter 2 of project 7 is damaged" in str(project.error)
    assert "Adapter 1 serves in its place" in str(project.error)
    _, actions = store.events.after(7, 0)
    assert DAMAGED in actions
    assert store.events.count() == 2, "/setup's, and one of the damage, however often it is met"


def test_a_later_one_serves_if_there_is_no_older(client: FlaskClient, store: Store, adapter: Any) -> None:
    adapter(1)
    adapter(2)
    store.projects.set(7, adapter=1)  # somebody went back
    truncate(store.files.adapters(7).path(1) / "heads.safetensors")
    assert predict(client, "an apple")[0]["model_version"] == "p7-a2"


def test_an_older_one_serves_though_the_disk_takes_no_note_of_it(
    client: FlaskClient, store: Store, adapter: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter(1)
    adapter(2)
    truncate(store.files.adapters(7).path(2) / "heads.safetensors")

    def full(*_: Any, **__: Any) -> None:
        raise OperationalError("INSERT", {}, Exception("database or disk is full"))

    with monkeypatch.context() as disk:
        disk.setattr(store.events, "add", full)
        assert predict(client, "an apple")[0]["model_version"] == "p7-a1"
        assert DAMAGED not in store.events.after(7, 0)[1]


def test_an_adapter_that_the_state_does_not_know_is_not_waited_for(
    client: FlaskClient, store: Store, adapter: Any
) -> None:
    adapter(1)
    store.projects.set(7, adapter=5)
    assert predict(client, "an apple")[0]["model_version"] == "p7-a1"


def test_with_no_older_one_it_is_said_and_the_next_serves(client: FlaskClient, store: Store, adapter: Any) -> None:
    adapter(1)
    truncate(store.files.adapters(7).path(1) / "heads.safetensors")
    for _ in range(2):
        answer = client.post("/predict", json={"project": 7, "tasks": [{"data": {"text": "x"}}]})
        assert (answer.status_code, "heads.safetensors changed" in answer.status) == (503, True)
    adapter(2)
    assert predict(client, "an apple")[0]["model_version"] == "p7-a2"


def test_what_is_in_memory_serves_whatever_becomes_of_its_files(
    client: FlaskClient, store: Store, adapter: Any
) -> None:
    adapter(1)
    before = predict(client, "an apple")
    for path in store.files.adapters(7).path(1).iterdir():
        path.unlink()
    assert predict(client, "an apple") == before


def test_damaged_scores_are_not_believed(client: FlaskClient, store: Store, adapter: Any) -> None:
    adapter(1)
    before = predict(client, "an apple")
    folder = store.files.scores(7, 1).folder
    folder.mkdir(parents=True)
    (folder / "000000-0.safetensors").write_bytes(b"\x00" * 100)
    assert predict(client, "an apple") == before


def test_memory_that_runs_out_while_loading_leaves_the_former_adapter_in_service(
    client: FlaskClient, store: Store, adapter: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter(1)
    assert predict(client, "an apple")[0]["model_version"] == "p7-a1"
    adapter(2)
    with monkeypatch.context() as full:
        full.setattr("backend.learners.saved.load_file", no_memory)
        assert predict(client, "an apple")[0]["model_version"] == "p7-a1"
    project = store.projects.get(7)
    assert project is not None
    assert project.error is None
    assert DAMAGED not in store.events.after(7, 0)[1], "the files are sound"


def test_without_a_former_adapter_the_answer_names_the_memory_and_the_next_call_loads_it(
    client: FlaskClient, store: Store, adapter: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter(1)
    with monkeypatch.context() as full:
        full.setattr("backend.learners.saved.load_file", no_memory)
        answer = client.post("/predict", json={"project": 7, "tasks": [{"data": {"text": "x"}}]})
    assert (answer.status_code, "memory ran out" in answer.status) == (503, True)
    assert predict(client, "an apple")[0]["model_version"] == "p7-a1"


def test_a_damaged_adapter_leaves_the_one_in_memory_in_service(client: FlaskClient, store: Store, adapter: Any) -> None:
    adapter(1)
    before = predict(client, "an apple")
    adapter(2)
    for number in (1, 2):
        truncate(store.files.adapters(7).path(number) / "heads.safetensors")
    assert predict(client, "an apple") == before


def no_memory(*_: Any, **__: Any) -> None:
    raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")

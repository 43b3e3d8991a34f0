"""PostgreSQL is away for a while: predictions go on, the rest says so, and all is well afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from backend.app import create_app
from backend.learners.models.cache import BaseModels
from backend.settings import Settings
from backend.store import Store
from backend.web.serving import Serving
from tests.backend.web.test_ml import CONFIG
from tests.postgresql import PostgreSQL, server


@pytest.fixture
def own_server() -> Iterator[PostgreSQL]:
    """One that may be stopped."""
    with server() as made:
        yield made


@pytest.fixture
def store(own_server: PostgreSQL, tmp_path: Path) -> Store:
    made = Store(tmp_path, own_server.create("lsal"))
    made.database.migrate()
    made.projects.connect(7, label_config=CONFIG, options={}, host="b.local:9090")
    return made


@pytest.fixture
def client(store: Store) -> FlaskClient:
    settings = Settings(label_studio_url=None, basic_auth_user=None, basic_auth_pass=None)
    return create_app(settings, store, Serving(store, BaseModels())).test_client()


def test_predictions_go_on_while_the_database_is_away(
    client: FlaskClient, own_server: PostgreSQL, adapter: Any
) -> None:
    adapter(1)
    body = {"project": 7, "tasks": [{"id": 1, "data": {"text": "an apple"}}], "label_config": CONFIG}
    event = {"action": "ANNOTATION_CREATED", "project": {"id": 7}}
    before = client.post("/predict", json=body)
    assert before.status_code == 200
    own_server.stop()
    during = client.post("/predict", json=body)
    assert (during.status_code, during.get_json()) == (200, before.get_json())
    for refused in (client.post("/webhook", json=event), client.get("/ready"), client.get("/ui/")):
        assert refused.status_code == 503
        assert "secret" not in refused.get_data(as_text=True)
    own_server.start_again()
    assert client.post("/webhook", json=event).status_code < 300
    assert client.post("/predict", json=body).get_json() == before.get_json()

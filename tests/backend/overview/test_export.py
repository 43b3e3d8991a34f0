"""All labels in one file, of people and of the model, in formats that others read."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from pyarrow import parquet

from backend.app import create_app
from backend.learners.models.cache import BaseModels
from backend.overview.export import FORMATS, export, rows
from backend.settings import Settings
from backend.store import Store
from backend.store.sql.models import Project
from backend.web.serving import Serving
from tests.backend.finishing import LABELED, Finishing
from tests.backend.rounds.finishing.test_finishing import certified


@pytest.fixture
def finished(finishing: Finishing) -> Store:
    """With labels of people and of the model, one of which a person changed."""
    certified(finishing)
    finishing.wants("take")
    finishing.label([finishing.store.of(7).finishes.given()[0].task_id], wrong=lambda task: True)
    return finishing.store


def project(store: Store) -> Project:
    found = store.projects.get(7)
    assert found is not None
    return found


def written(store: Store, form: str) -> bytes:
    return b"".join(export(store, project(store), form))


def test_every_label_is_there_once_with_who_gave_it(finished: Store) -> None:
    found = list(rows(finished, project(finished)))
    numbers = [row["task"] for row in found]
    assert len(numbers) == len(set(numbers))
    people = [row for row in found if row["by"] == "person"]
    model = [row for row in found if row["by"] == "model"]
    assert len(people) == finished.of(7).tasks.count_labeled() > LABELED
    assert len(model) == finished.of(7).finishes.count_given() - 1
    assert all(row["adapter"] == "p7-a1" and 0 < (row["confidence"] or 0) <= 1 for row in model)
    assert all(row["adapter"] is None and row["confidence"] is None for row in people)
    held_out = {row["task"] for row in people if row["held_out"]}
    assert held_out == {each.id for each in finished.of(7).tasks.labeled(audit=True)}


def test_labels_of_a_sample_are_in_it_before_they_teach(finishing: Finishing) -> None:
    finishing.request()
    sample = finishing.store.of(7).tasks.sampled()
    finishing.label(sample[:5])
    found = {row["task"]: row["held_out"] for row in rows(finishing.store, project(finishing.store))}
    assert all(found[task] for task in sample[:5])


def test_the_formats_agree(finished: Store) -> None:
    lines = [json.loads(line) for line in written(finished, "jsonl").splitlines()]
    table = list(csv.DictReader(io.StringIO(written(finished, "csv").decode(), newline="")))
    columns: list[dict[str, Any]] = parquet.read_table(io.BytesIO(written(finished, "parquet"))).to_pylist()
    tasks = json.loads(written(finished, "label-studio"))
    assert len(lines) == len(table) == len(columns) == len(tasks)
    for line, row, of_columns, task in zip(lines, table, columns, tasks, strict=True):
        label = line["labels"]["topic"]
        assert (int(row["task"]), row["text"], row["topic"]) == (line["task"], line["text"], label)
        assert (of_columns["task"], of_columns["topic"], of_columns["by"]) == (line["task"], label, line["by"])
        (given,) = task["annotations"] if line["by"] == "person" else task["predictions"]
        assert given["result"][0]["value"]["choices"] == [label]
        assert task["data"] == {"text": line["text"]}


def test_the_route_streams_each_format_and_refuses_others(finished: Store) -> None:
    app = create_app(Settings(), finished, Serving(finished, BaseModels()))  # type: ignore[call-arg]
    client: FlaskClient = app.test_client()
    for form, (_, ending, media) in FORMATS.items():
        answer = client.get(f"/api/projects/7/export/{form}")
        assert answer.status_code == 200
        assert answer.content_type.startswith(media)
        assert f"project-7.{ending}" in answer.headers["Content-Disposition"]
        assert answer.data == written(finished, form)
    refused = client.get("/api/projects/7/export/xls")
    assert refused.status_code == 404
    assert "jsonl, csv, parquet" in refused.get_json()["error"]

"""Request bodies are read as their models describe, and refused with what was expected, what came and an example."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from backend.errors import InvalidRequestError
from backend.web.action_bodies import Pause, Rollback, Strategy
from backend.web.request_bodies import Body, Event, Predict, Setup, checked, read


@pytest.mark.parametrize("model", [Event, Pause, Predict, Rollback, Setup, Strategy])
def test_every_example_is_valid(model: type[Body]) -> None:
    (example,) = model.model_json_schema()["examples"]
    checked(model, example)


@pytest.mark.parametrize(
    ("model", "values", "message"),
    [
        (
            Rollback,
            {},
            "'adapter' must be given as the number of an adapter; it is missing. Example: {\"adapter\": 1}",
        ),
        (Rollback, {"adapter": True}, "'adapter' must be given as the number of an adapter; received true. Example:"),
        (Rollback, {"adapter": 1.0}, "received 1.0."),
        (Rollback, {"adapter": "x" * 99}, f'received "{"x" * 59}...'),
        (Pause, {"paused": 1}, "'paused' must be given as true or false; received 1."),
        (Strategy, {}, "'strategy' must be given as the name of a strategy, or null for that of the options; it is"),
        (Strategy, {"strategy": {"a": 1}}, "received an object."),
        (Event, {"action": "a-b", "project": 7}, "must be an event name in capitals, such as ANNOTATION_CREATED; r"),
        (Event, {"action": "A\n", "project": 7}, "'action' must be an event name"),
        (Event, {"action": "A", "project": {"id": "x"}}, "'project' must be the number of a project, or an object"),
        (Predict, {"project": 7, "tasks": [{}, []]}, "each an object with 'data'; received a list at position 1. /op"),
        (Predict, {"project": True, "tasks": []}, "'project' must be the number of a project; received true. /openapi"),
        (Setup, {"project": 7, "extra_params": "{"}, "extra_params is not JSON; enter an object"),
    ],
)
def test_refusals(model: type[Body], values: dict[str, Any], message: str) -> None:
    with Flask("test").test_request_context(), pytest.raises(InvalidRequestError) as refusal:
        checked(model, values)
    assert message in str(refusal.value)


@pytest.mark.parametrize(
    ("project", "number"), [(7, 7), (7.0, 7), ("7", 7), ("7.1700000000", 7), ("0007", 7), (2**31 - 1, 2**31 - 1)]
)
def test_numbers_of_projects(project: Any, number: int) -> None:
    assert checked(Predict, {"project": project, "tasks": []}).project == number
    assert checked(Event, {"action": "A", "project": {"id": project}}).project == number


def test_fields_that_are_not_declared_are_ignored_and_values_are_not_converted() -> None:
    tasks = [{"id": 1, "data": {"text": "\ud800"}, "annotations": [1]}, {}]
    found = checked(Predict, {"project": 7, "tasks": tasks, "label_config": ["\ud800"], "\ud800": 1})
    assert [task.get("data") for task in found.tasks] == [{"text": "\ud800"}, None]
    assert found.label_config == ["\ud800"]
    for schema, kept in (("<View/>", "<View/>"), (None, ""), ("\ud800", "\ud800")):
        assert checked(Setup, {"project": 7, "schema": schema}).label_config == kept
    assert "dead" not in repr(checked(Setup, {"project": 7, "access_token": "dead"}))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"{", "The body must be JSON, but cannot be parsed"),
        (b"[" * 200_000, "The body must be JSON, but is nested too deeply"),
        (b'{"a":' * 100_000, "The body must be JSON, but is nested too deeply"),
        (b"[1]", "The body must be a JSON object; received a list"),
        (b'"x"', 'The body must be a JSON object; received "x"'),
        (b"1" * 10_000, "The body must be JSON, but cannot be parsed"),
    ],
)
def test_bodies_that_are_no_json_objects(data: bytes, message: str) -> None:
    with Flask("test").test_request_context(data=data), pytest.raises(InvalidRequestError, match=message):
        read(Pause)

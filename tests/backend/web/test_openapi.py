"""Every call that the written description allows, and many that it does not: answered as it says, never with a 500."""

from __future__ import annotations

import re
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from backend.app import create_app
from backend.learners.base_model import BaseModels
from backend.settings import Settings
from backend.store import Store
from backend.web.serving import Serving
from tests.backend.web.test_ml import SETUP

CALLS = ["GET /", "GET /health", "GET /metrics", "GET /openapi.json", "GET /ready", "GET /versions", "POST /predict",
         "POST /setup", "POST /webhook"]  # fmt: skip


@pytest.fixture
def app(store: Store, adapter: Any) -> Any:
    store.workers.beat("worker-1", None)
    made = create_app(Settings(), store, Serving(store, BaseModels()))  # type: ignore[call-arg]
    made.test_client().post("/setup", json=SETUP)
    adapter(1)
    return made


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize("call", CALLS)
def test_calls_are_answered_as_described(app: Any, call: str, mode: GenerationMode) -> None:
    description = schemathesis.openapi.from_wsgi("/openapi.json", app)
    method, path = call.split()
    operation = description[path][method]

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
    def check(case: Case) -> None:
        # What a label config may say, a schema of JSON cannot.
        case.call_and_validate(excluded_checks=[positive_data_acceptance] if path in ("/setup", "/predict") else [])

    if mode is GenerationMode.POSITIVE or method == "POST":  # a GET without parameters has no wrong form
        check()


def test_every_route_is_described_and_every_described_route_is_there(app: Any) -> None:
    described = app.test_client().get("/openapi.json").get_json()["paths"]
    routes = {
        (re.sub(r"<(\w+)>", r"{\1}", rule.rule), method)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.endpoint not in ("static", "ml.trial")  # the trial is between the doctor and us
    }
    assert routes == {(path, method.upper()) for path, methods in described.items() for method in methods}
    assert sorted(f"{method} {path}" for path, method in routes) == CALLS

"""The document is complete, and requests that it allows or forbids are answered as it describes, never with a 500."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from backend.app import create_app
from backend.learners.models.cache import BaseModels
from backend.settings import Settings
from backend.store import Store
from backend.web.serving import Serving

_PROJECT = "/api/projects/{project_id}"
CALLS = sorted(
    ["GET /", "GET /api/projects", f"GET {_PROJECT}", "GET /health", "GET /metrics", "GET /openapi.json", "GET /ready",
     "GET /versions", "POST /predict", "POST /setup", "POST /webhook",
     *(f"GET {_PROJECT}/{panel}" for panel in ("adapters", "adapters/{number}", "annotators", "audit", "classes",
                                               "confusion", "duplicates", "effort", "export/{form}", "finish", "labels",
                                               "llm", "map", "quality", "queue", "rounds", "suspects",
                                               "tasks/{task_id}", "unlearned")),
     *(f"POST {_PROJECT}/{action}" for action in ("base_model", "cancel", "find", "finish", "finish/labels", "first",
                                                  "pause", "rollback", "rounds", "strategy"))]
)  # fmt: skip


@pytest.fixture(scope="module")
def store(played_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(Path(shutil.copytree(played_folder, tmp_path_factory.mktemp("described") / "store")))


@pytest.fixture(scope="module")
def app(store: Store) -> Any:
    return create_app(Settings(), store, Serving(store, BaseModels()))  # type: ignore[call-arg]


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize("call", CALLS)
def test_calls_are_answered_as_described(app: Any, store: Store, call: str, mode: GenerationMode) -> None:
    store.workers.beat("worker-1", None)  # now, since /ready answers 503 when the worker has been silent for long
    description = schemathesis.openapi.from_wsgi("/openapi.json", app)
    method, path = call.split()
    operation = description[path][method]

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
    def check(case: Case) -> None:
        # What a label config may say, a schema of JSON cannot.
        case.call_and_validate(excluded_checks=[positive_data_acceptance] if path in ("/setup", "/predict") else [])

    if mode is GenerationMode.POSITIVE or method == "POST" or "{" in path:  # others have no wrong form
        check()


def test_every_route_is_described_and_every_described_route_is_there(app: Any) -> None:
    described = app.test_client().get("/openapi.json").get_json()["paths"]
    routes = {
        (re.sub(r"<(\w+)>", r"{\1}", rule.rule), method)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        # The trial is between the doctor and us, and pages are for people.
        if rule.endpoint not in ("static", "ml.trial") and not rule.endpoint.startswith("dashboard.")
    }
    assert routes == {(path, method.upper()) for path, methods in described.items() for method in methods}
    assert sorted(f"{method} {path}" for path, method in routes) == CALLS


def test_operations_have_a_summary_and_their_refusals(app: Any) -> None:
    paths = app.test_client().get("/openapi.json").get_json()["paths"]
    for path, methods in paths.items():
        for method, each in methods.items():
            statuses = set(each["responses"])
            assert each["summary"], path
            assert ("401" in statuses) == (path not in ("/", "/health")) == (each.get("security") != [])
            assert {"400", "404", "422"} <= statuses or "{" not in path
            assert {"400", "403", "413", "422"} <= statuses or method == "get"
    assert {"password": []} in paths["/webhook"]["post"]["security"]
    assert {"secret": []} in paths["/webhook"]["post"]["security"]


def test_properties_that_a_script_needs_are_described(app: Any) -> None:
    schemas = app.test_client().get("/openapi.json").get_json()["components"]["schemas"]
    for schema in schemas.values():
        assert schema["description"]
    assert schemas["Score"]["properties"]["low"] == {"type": "number", "description": "Lower end of the 95 % interval"}
    assert "title" in schemas["Summary"]["properties"]
    assert set(schemas["ProjectState"]["required"]) > set(schemas["Summary"]["required"])
    assert set(schemas["Setup"]["required"]) == {"project", "schema"}
    assert schemas["Predict"]["properties"]["tasks"]["maxItems"] == 50_000

"""The ML-backend interface over HTTP semantics, with a real store and a real (tiny) adapter."""

from __future__ import annotations

import gc
import json
import shutil
import weakref
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from backend.app import create_app
from backend.learners.models.cache import BaseModels
from backend.pool import local
from backend.pool.texts import given
from backend.rounds import events
from backend.settings import Settings
from backend.store import Store
from backend.store.rounds import Place
from backend.store.sql.models import Adapter
from backend.store.texts import TaskText, digest, held_out
from backend.web.serving import Serving
from tests.conftest import CLASSES, labeled_sentences

CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="topic" toName="text">'
    + "".join(f'<Choice value="{name}"/>' for name in CLASSES)
    + "</Choices></View>"
)
NESTED: dict[str, Any] = {}
for _ in range(400):
    NESTED = {"base": "mixed", "base_options": NESTED}
SETUP = {"project": "7.1700000000", "schema": CONFIG, "hostname": "http://evil.example", "access_token": "dead"}


@pytest.fixture
def serving(store: Store) -> Serving:
    return Serving(store, BaseModels())


@pytest.fixture
def client(store: Store, serving: Serving) -> FlaskClient:
    return create_app(Settings(), store, serving).test_client()  # type: ignore[call-arg]


def predict(client: FlaskClient, *texts: Any, config: str = CONFIG) -> list[Any]:
    tasks = [{"id": i, "data": {"text": text}} for i, text in enumerate(texts)]
    answer = client.post("/predict", json={"tasks": tasks, "project": "7.17", "label_config": config})
    assert answer.status_code == 200, answer.text
    results: list[Any] = answer.get_json()["results"]
    return results


def chosen(result: Any) -> str:
    return str(result["result"][0]["value"]["choices"][0])


@pytest.mark.parametrize("name", ["/etc", "/etc/passwd", "/no/such/folder", "BAAI/bge-small-en-v1.5:4bit"])
def test_base_models_that_only_the_operator_may_name(store: Store, serving: Serving, name: str) -> None:
    """Whether such a folder exists makes no difference."""
    setup = {**SETUP, "extra_params": {"base_model": name}}
    plain = name.removesuffix(":4bit")
    refused = create_app(Settings(), store, serving).test_client().post("/setup", json=setup)  # type: ignore[call-arg]
    assert refused.status_code == 422
    assert refused.get_json()["error"] == (
        f"extra_params.base_model: this server does not allow '{name}', but minilm, multilingual, smollm2; its "
        f"operator can add it to the list ALLOWED_BASE_MODELS (ALLOWED_BASE_MODELS={plain})"
    )
    allowing = Settings(allowed_base_models="x, [/.B]*")  # type: ignore[call-arg]
    assert create_app(allowing, store, serving).test_client().post("/setup", json=setup).status_code == 200
    after = create_app(Settings(), store, serving).test_client()  # type: ignore[call-arg]
    assert after.post("/setup", json=setup).status_code == 200, "it is in use"
    assert after.post("/setup", json={**setup, "project": 8}).status_code == 422, "by another project"


@pytest.mark.parametrize("name", ["/models/../etc", "/models/..", "../models/x", "/etc"])
def test_a_pattern_allows_nothing_outside_of_its_folder(store: Store, serving: Serving, name: str) -> None:
    app = create_app(Settings(allowed_base_models="/models/*, */x"), store, serving)  # type: ignore[call-arg]
    assert app.test_client().post("/setup", json={**SETUP, "extra_params": {"base_model": name}}).status_code == 422


def test_what_the_packages_and_the_operator_bring_is_allowed(
    store: Store, serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LSAL_BASE_MODEL", "/models/ours")
    client = create_app(Settings(), store, serving).test_client()  # type: ignore[call-arg]
    for extra in (
        {},
        {"base_model": "/models/ours"},
        {"base_model": "auto"},
        {"base_model": "minilm"},
        {"base_model": "multilingual:4bit"},
    ):
        assert client.post("/setup", json={**SETUP, "extra_params": extra}).status_code == 200


def test_health_and_index(client: FlaskClient) -> None:
    for path in ("/", "/health"):
        assert client.get(path).get_json()["status"] == "UP"


def test_projects_that_nobody_confirms_are_few_and_keep_no_other_out(client: FlaskClient, store: Store) -> None:
    client.post("/setup", json=SETUP)
    store.projects.set(7, title="Reviews")  # as its sync does
    answers = [client.post("/setup", json={**SETUP, "project": str(1_000_000 + number)}) for number in range(60)]
    assert [answer.status_code for answer in answers] == [200] * 50 + [503] * 10
    assert "50 projects wait until Label Studio confirms" in answers[-1].text
    assert len(store.projects.all(connected=False)) == 51
    assert client.post("/setup", json=SETUP).status_code == 200


def test_setup_remembers_once_and_answers_with_the_version(client: FlaskClient, store: Store) -> None:
    for _ in range(3):
        answer = client.post("/setup", json={**SETUP, "extra_params": {"batch_size": 5}})
        assert answer.get_json() == {"model_version": "p7-a0"}
    assert store.events.after(7, 0)[1] == {events.SETUP}
    assert store.events.count() == 1
    project = store.projects.get(7)
    assert project is not None
    assert (project.options, project.host) == ({"batch_size": 5}, "localhost")
    client.post("/setup", json={**SETUP, "extra_params": '{"batch_size": 6}'})
    assert store.events.count() == 2


@pytest.mark.parametrize(
    ("change", "status", "sentence"),
    [
        ({"schema": "<View/>"}, 422, "The label config has no control"),
        ({"schema": None}, 422, "The label config is empty"),
        ({"extra_params": {"strategy": "foo"}}, 422, "strategy 'foo' is unknown; choose one of auto, badge"),
        (
            {"extra_params": {"strategy": "variance"}},
            422,
            "'variance' does not work for classification; choose auto, badge, bald",
        ),
        ({"extra_params": {"committee": "views"}}, 422, "'views' belongs to the strategies co_training and"),
        ({"extra_params": {"strategy": "co_training", "members": 3}}, 422, "has 2 members, its views, not 3"),
        ({"extra_params": {"strategy": "disagreement"}}, 422, "compares the model with its teacher: name one"),
        (
            {"extra_params": {"strategy": "mixed", "strategy_options": {"base": "co_training"}}},
            422,
            "cannot be the base of another strategy",
        ),
        (
            {"extra_params": {"strategy": "margin", "strategy_options": {"name": "x"}}},
            422,
            "strategy 'margin' has no option 'name'",
        ),
        (
            {"extra_params": {"strategy": "mixed", "strategy_options": {"base_options": "abc"}}},
            422,
            "nested strategy options must be an object, not 'abc'",
        ),
        ({"extra_params": {"strategy": "mixed", "strategy_options": NESTED}}, 422, "nested too deeply: 5 levels are"),
        ({"extra_params": {"max_steps": 10**8}}, 422, "max_steps: Input should be less than or equal to 20000"),
        ({"extra_params": {"strategy_options": {"x": 1}}}, 422, "strategy_options need a strategy: set the option"),
        (
            {"extra_params": {"ignore_controls": ["x"]}},
            422,
            "ignore_controls names 'x', which is not in the label config",
        ),
        (
            {"extra_params": {"control_weights": {"x": 1}}},
            422,
            "control_weights names 'x', which the label config has not",
        ),
        ({"extra_params": {"cold_start": "margin"}}, 422, "cold_start 'margin' needs a trained model (probs)"),
        ({"extra_params": {"bach_size": 1}}, 422, "extra_params.bach_size is unknown"),
        ({"extra_params": [1]}, 422, "extra_params must be a JSON object"),
        ({"extra_params": "{broken"}, 400, "extra_params is not JSON"),
        ({"project": "../7"}, 400, "'project' must be the number of a project"),
        ({"project": None}, 400, "'project' must be the number of a project"),
        ({"project": "0"}, 400, "'project' must be the number of a project"),
        ({"project": "99999999999999999999999"}, 400, "'project' must be the number of a project"),
    ],
)
def test_refusals_stand_in_the_reason_phrase_and_in_the_body(
    client: FlaskClient, store: Store, change: dict[str, Any], status: int, sentence: str
) -> None:
    answer = client.post("/setup", json={**SETUP, **change})
    assert answer.status_code == status
    assert sentence in answer.status
    assert sentence in answer.get_json()["error"]
    assert store.projects.all() == []


def test_control_characters_in_a_refusal(client: FlaskClient) -> None:
    answer = client.post("/setup", json={**SETUP, "extra_params": {"strategy": "a\x00\x1b[31m\x7f"}})
    assert answer.status_code == 422
    assert r"strategy 'a\u0000\u001b[31m\u007f' is unknown" in answer.status


ELSEWHERE = CONFIG.replace('toName="text"', 'toName="nowhere"')


@pytest.mark.parametrize(
    "setup",
    [
        *({"extra_params": {"strategy": name}} for name in ("x\r\nX-Inj: 1", "\ud800", "x" * 100_000, "<>")),
        {"extra_params": {"a\0b\1": 1}},
        {"extra_params": {"<script>": 1}},
        {"extra_params": '"' * 10},
        {"extra_params": {"strategy": "margin", "strategy_options": {"x": [[[[1]]]]}}},
        {"schema": ELSEWHERE.replace("topic", "c&#13;&#10;X-Inj: 1")},
        {"schema": ELSEWHERE.replace("topic", "n" * 10_000)},
    ],
)  # fmt: skip
def test_a_refusal_is_one_short_line_of_printable_characters(client: FlaskClient, setup: dict[str, Any]) -> None:
    answer = client.post("/setup", data=json.dumps({**SETUP, **setup}))
    assert answer.status_code in (400, 422)
    assert answer.status.isascii()
    assert answer.status.isprintable()
    assert len(answer.status) <= 510
    assert "X-Inj" not in answer.headers


def test_a_path_adds_no_header(client: FlaskClient) -> None:
    for start in ("api", "ui"):
        answer = client.get(f"/{start}/projects/%0d%0aX-Inj:%201")
        assert (answer.status_code in (400, 404), "X-Inj" in answer.headers) == (True, False)


def test_bodies_that_are_no_json_objects_are_refused(client: FlaskClient) -> None:
    for path in ("/setup", "/predict", "/webhook"):
        for body in (b"", b"{", b"[1]", b"\xff"):
            answer = client.post(path, data=body)
            assert (answer.status_code, "JSON" in answer.get_json()["error"]) == (400, True)
    assert client.get("/nowhere").status_code == 404
    assert client.get("/setup").status_code == 405


def test_before_any_training_there_are_no_predictions(client: FlaskClient) -> None:
    assert predict(client, "one", "two") == [[], []]
    client.post("/setup", json=SETUP)
    assert predict(client, "one", "two") == [[], []]


def test_predictions_in_the_order_asked_with_confidence_and_version(client: FlaskClient, adapter: Any) -> None:
    client.post("/setup", json=SETUP)
    adapter(1)
    unseen = labeled_sentences(30, seed=2)
    results = predict(client, *[t for t, _ in unseen], "", None)
    assert results[-2:] == [[], []], "a task without a text gets no prediction"
    right = [chosen(result) == label for result, (_, label) in zip(results, unseen, strict=False)]
    assert sum(right) > 22
    for result in results[:-2]:
        assert result["model_version"] == "p7-a1"
        assert 1 / 3 <= result["score"] == result["result"][0]["score"] <= 1
    assert client.post("/setup", json=SETUP).get_json() == {"model_version": "p7-a1"}
    assert client.get("/versions").get_json() == {"versions": ["p7-a1"]}


def test_held_out_tasks_get_no_prediction(client: FlaskClient, adapter: Any, store: Store) -> None:
    client.post("/setup", json=SETUP)
    adapter(1)
    store.projects.set(7, held_out_share=0.5)
    texts = [text for text, _ in labeled_sentences(40, seed=2)]
    results = predict(client, *texts)
    assert [not result for result in results] == [held_out(0, number, 0.5) for number in range(40)]
    assert {not result for result in results} == {True, False}


def test_a_new_version_is_swapped_in_and_the_old_one_leaves_memory(
    client: FlaskClient, adapter: Any, serving: Serving
) -> None:
    client.post("/setup", json=SETUP)
    text, label = labeled_sentences(3, seed=8)[0]
    adapter(1)
    (before,) = predict(client, text)
    adapter(2, shift=1)
    (after,) = predict(client, text)
    assert (before["model_version"], after["model_version"]) == ("p7-a1", "p7-a2")
    assert (chosen(before), chosen(after)) == (label, CLASSES[(CLASSES.index(label) + 1) % 3])
    classifier = serving._current[7].learner
    assert [name[:6] for name in classifier.base.adapters.model.peft_config] == ["p7-a2-"]


def test_scored_texts_are_answered_from_the_file(
    client: FlaskClient, adapter: Any, store: Store, serving: Serving, tiny_encoder: Path, monkeypatch: Any
) -> None:
    client.post("/setup", json=SETUP)
    adapter(1)
    texts = [t for t, _ in labeled_sentences(12, seed=3)]
    live = predict(client, *texts)
    classifier = serving._current[7].learner
    tasks = [TaskText(i, text, digest(text)) for i, text in enumerate(texts[:10])]
    local.score(store.files.scores(7, 1), classifier, given(tasks), {})
    asked: list[str] = []
    real = classifier.predict
    monkeypatch.setattr(classifier, "predict", lambda wanted: (asked.extend(wanted), real(wanted))[1])
    again = predict(client, *texts)
    assert asked == texts[10:]
    for a, b in zip(live, again, strict=True):
        assert chosen(a) == chosen(b)
        assert a["score"] == pytest.approx(b["score"], abs=1e-5)


def test_a_damaged_adapter_is_answered_with_a_sentence(client: FlaskClient, adapter: Any, store: Store) -> None:
    client.post("/setup", json=SETUP)
    adapter(1)
    (store.files.adapters(7).path(1) / "heads.safetensors").write_bytes(b"broken")
    answer = client.post("/predict", json={"tasks": [{"data": {"text": "x"}}], "project": 7})
    assert answer.status_code == 503
    assert "adapter 1 of project 7 is damaged" in answer.get_json()["error"]
    serving_again = Serving(store, BaseModels())
    serving_again.warm_up()  # says so in the log and goes on


def test_predict_refuses_what_are_no_tasks(client: FlaskClient) -> None:
    for tasks in (None, "x", [1], {"a": 1}):
        answer = client.post("/predict", json={"tasks": tasks, "project": 7})
        assert (answer.status_code, "'tasks' must be a list" in answer.status) == (400, True)


def test_webhooks_are_noted_whatever_they_carry(client: FlaskClient, store: Store) -> None:
    event = {"action": "ANNOTATION_CREATED", "project": {"id": 7}, "annotation": {"result": []}}
    assert client.post("/webhook", json=event).get_json()["status"] == "ignored"
    client.post("/setup", json=SETUP)
    for action in ("ANNOTATION_CREATED", "ANNOTATIONS_DELETED", "PROJECT_UPDATED", "START_TRAINING"):
        assert client.post("/webhook", json={"action": action, "project": {"id": 7}}).status_code == 201
    assert len(store.events.after(7, 0)[1]) == 5
    assert client.post("/webhook", json={"project": {"id": 7}}).status_code == 400
    assert client.post("/webhook", json={"action": "X"}).status_code == 400


def test_basic_auth_guards_all_but_health(store: Store, serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BASIC_AUTH_USER", "ü")
    monkeypatch.setenv("BASIC_AUTH_PASS", "pass")
    client = create_app(Settings(), store, serving).test_client()  # type: ignore[call-arg]
    for path in ("/", "/health"):
        assert client.get(path).status_code == 200
    numbers = count(1)
    for auth in (None, ("ü", "wrong"), ("wrong", "pass"), ("", "")):
        for method, path in (("POST", "/setup"), ("POST", "/predict"), ("POST", "/webhook"), ("GET", "/metrics")):
            there = {"REMOTE_ADDR": f"192.0.2.{next(numbers)}"}  # one address would have to wait
            answer = client.open(path, method=method, auth=auth, environ_base=there)
            assert answer.status_code == 401
            assert "BASIC_AUTH_USER" in answer.status
    assert client.post("/setup", json=SETUP, auth=("ü", "pass")).status_code == 200


def test_metrics_tell_the_state_of_projects_and_rounds(client: FlaskClient, store: Store) -> None:
    client.post("/setup", json=SETUP)
    store.of(7).tasks.put_texts([(1, "a"), (2, "b")], seed=0, audit_share=0.0)
    store.of(7).tasks.put_annotations([(1, "fruit", True, False)])
    store.of(7).rounds.begin(1, reason="x", labels=1, tasks=2, targets=[])
    store.of(7).rounds.set(1, evaluation={"controls": {"topic": {"metric": "accuracy", "score": 0.75, "labels": 12}}})
    store.of(7).rounds.took(1, "train", 2.5)
    store.of(7).rounds.put_queue(1, [Place(1, score=0.1), Place(2, score=0.2)])
    store.projects.set(7, queue=1)
    lines = client.get("/metrics").text.splitlines()
    for line in (
        'lsal_stopped{project="7"} 0.0',
        'lsal_labeled_tasks{project="7"} 1.0',
        'lsal_queue_open_tasks{project="7"} 1.0',
        'lsal_held_out_score{control="topic",metric="accuracy",project="7"} 0.75',
        'lsal_held_out_labels{control="topic",project="7"} 12.0',
        'lsal_round_step_seconds{project="7",step="train"} 2.5',
        "lsal_events_waiting 1.0",
        'lsal_request_seconds_count{endpoint="ml.setup",status="200"} 1.0',
    ):
        assert line in lines


def test_an_unexpected_error_shows_no_traceback(
    client: FlaskClient, serving: Serving, store: Store, adapter: Any, monkeypatch: Any
) -> None:
    client.post("/setup", json=SETUP)
    store.projects.set(7, adapter=1)
    monkeypatch.setattr(serving, "predict", lambda *_: 1 / 0)
    answer = client.post("/predict", json={"tasks": [{"data": {"text": "x"}}], "project": 7})
    assert answer.status_code == 500
    assert answer.get_json() == {"error": "Internal error; see the backend's log"}


def test_more_base_models_than_may_be_in_memory_are_served_in_turn(
    adapter: Any, store: Store, tiny_encoder: Path, tmp_path: Path
) -> None:
    """Project 8 has the same adapter under another name of the base model."""
    twin = Path(shutil.copytree(tiny_encoder, tmp_path / "twin"))
    for number in (7, 8):
        store.projects.connect(number, label_config=CONFIG, options={}, host="b.local")
    adapter(1)
    made = store.of(7).rounds.adapter(1)
    assert made is not None
    shutil.copytree(store.files.adapters(7).folder, store.files.adapters(8).folder)
    store.of(8).rounds.put_adapter(
        Adapter(
            project_id=8, number=1, base_model=str(twin), fingerprint="x", targets=made.targets, examples=30,
            created_at=0.0,
        )
    )  # fmt: skip
    store.projects.set(8, adapter=1)
    serving = Serving(store, BaseModels(1))
    texts = [text for text, _ in labeled_sentences(4, seed=2)]
    _, _, expected = serving.predict(7, texts)
    first = weakref.ref(serving._current[7].learner.base)
    for project in (8, 7, 8):
        _, _, found = serving.predict(project, texts)
        np.testing.assert_allclose(found["topic/probs"], expected["topic/probs"], atol=1e-5)
        assert list(serving._current) == [project]
    gc.collect()
    assert first() is None


def test_projects_that_label_studio_does_not_confirm_are_few(client: FlaskClient, store: Store) -> None:
    """Anyone who reaches /setup can invent numbers of projects."""
    store.projects.connect(7, label_config=CONFIG, options={}, host="b.local:9090")
    store.projects.set(7, title="A project")
    codes = [client.post("/setup", json={**SETUP, "project": 1000 + n}).status_code for n in range(52)]
    assert codes == [200] * 50 + [503] * 2
    assert client.post("/setup", json=SETUP).status_code == 200
    assert len(store.projects.all()) == 51
    store.projects.forget(1000)
    assert client.post("/setup", json={**SETUP, "project": 2000}).status_code == 200

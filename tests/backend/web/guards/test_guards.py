"""Who is let in, and what is refused: with a sentence, a 4xx, and never a traceback."""

from __future__ import annotations

import io
import json
import re
import threading
import tracemalloc
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from flask.testing import FlaskClient

from backend.app import create_app
from backend.learners.models.cache import BaseModels
from backend.settings import Settings
from backend.store import Store
from backend.web.guards import load
from backend.web.guards.auth import OPEN
from backend.web.serving import Serving
from tests.backend.web.test_ml import CONFIG, SETUP
from tests.real import wait_for

AUTH = ("label-studio", "a password")
SECRET = "7.the-secret-of-seven"
EVENT = {"action": "ANNOTATION_CREATED", "project": {"id": 7}}


def app(store: Store, **settings: Any) -> FlaskClient:
    return create_app(Settings(**settings), store, Serving(store, BaseModels())).test_client()


@pytest.fixture
def client(store: Store) -> FlaskClient:
    """Without a password, and a project that is connected."""
    made = app(store)
    assert made.post("/setup", json=SETUP).status_code == 200
    return made


@pytest.fixture
def guarded(store: Store) -> FlaskClient:
    made = app(store, basic_auth_user=AUTH[0], basic_auth_pass=AUTH[1])
    made.post("/setup", json=SETUP, auth=AUTH)
    made.post("/setup", json={**SETUP, "project": "8"}, auth=AUTH)
    store.projects.set(7, webhook_secret=SECRET)
    return made


class TestSecrets:
    def test_the_secret_of_a_webhook_opens_the_webhook_of_its_project_and_nothing_else(
        self, guarded: FlaskClient, store: Store
    ) -> None:
        headers = {"X-Webhook-Secret": SECRET}
        before = store.events.count()
        assert guarded.post("/webhook", json=EVENT, headers=headers).status_code == 201
        assert store.events.count() == before + 1
        other = guarded.post("/webhook", json={**EVENT, "project": {"id": 8}}, headers=headers)
        assert (other.status_code, "the event is of project 8" in other.status) == (403, True)
        for path in ("/setup", "/predict"):
            assert guarded.post(path, json=SETUP, headers=headers).status_code == 401
        for path in ("/metrics", "/ready", "/versions", "/openapi.json"):
            assert guarded.get(path, headers=headers).status_code == 401
        assert store.events.count() == before + 1

    @pytest.mark.parametrize(
        "secret", ["", "7", "7.", "7.the-secret-of-eight", "8.", "8.the-secret-of-seven", "9.x", "7.ü", "x" * 9000]
    )
    def test_wrong_secrets(self, guarded: FlaskClient, secret: str) -> None:
        headers = {"X-Webhook-Secret": secret.encode().decode("latin-1")}
        assert guarded.post("/webhook", json=EVENT, headers=headers).status_code == 401

    @pytest.mark.parametrize("action", ["back to 3", "setup", "adapter damaged", "", "A" * 65, "a-b", 7, None])
    def test_events_that_label_studio_does_not_send(self, guarded: FlaskClient, store: Store, action: Any) -> None:
        before = store.events.count()
        answer = guarded.post("/webhook", json={**EVENT, "action": action}, headers={"X-Webhook-Secret": SECRET})
        assert (answer.status_code, "must be an event name" in answer.status) == (400, True)
        assert store.events.count() == before

    def test_neither_password_nor_secret_and_with_the_password(self, guarded: FlaskClient) -> None:
        assert guarded.post("/webhook", json=EVENT).status_code == 401
        assert guarded.post("/webhook", json=EVENT, auth=AUTH).status_code == 201

    def test_monitors_may_be_let_in_without_a_password(self, store: Store, guarded: FlaskClient) -> None:
        assert (guarded.get("/metrics").status_code, guarded.get("/ready").status_code) == (401, 401)
        public = app(store, basic_auth_user=AUTH[0], basic_auth_pass=AUTH[1], metrics_public=True)
        assert (public.get("/metrics").status_code, public.get("/ready").status_code) == (200, 503)
        assert public.get("/versions").status_code == 401


SPELLINGS = [
    "//api/projects", "/./api/projects", "/health/../api/projects", "/health/..%2fapi/projects", "/%61pi/projects",
    "/API/projects", "/api/projects;x=/health", "/api/projects%00", "/api%2fprojects", "//webhook", "/nonexistent",
    "/ui/static/..%2f..%2fpages.py",
]  # fmt: skip
TRICKS = [
    ("X-Forwarded-User", AUTH[0]), ("Remote-User", AUTH[0]), ("X-Original-URL", "/health"),
    ("X-Rewrite-URL", "/health"), ("X-Forwarded-Prefix", "/health"), ("X-HTTP-Method-Override", "GET"),
    ("X-Forwarded-For", "127.0.0.1"), ("Script-Name", "/api"), ("Path-Info", "/health"),
    *(("Authorization", value) for value in (
        "Basic", "Basic !!!", "Bearer x", "Negotiate " + "A" * 100, 'Digest username="label-studio", password=""',
        "Digest username*=UTF-8''%ff%fe, password=x",
        *("Basic " + b64encode(sent).decode() for sent in (
            b":", b"label-studio", b"label-studio:", b":a password", b"\xff\xfe:\xff", b"label-studio:a password ",
            b"label-studio:a p\xe4ssword", b"label-studio\0:a password",
        )),
    )),
]  # fmt: skip


class TestEveryRoute:
    """Who may call what, for each method and spelling: nobody without the password, but probes of health."""

    @pytest.mark.parametrize("headers", [{}, {"X-Webhook-Secret": SECRET}], ids=["nothing", "a webhook's secret"])
    def test_no_route_is_open_but_health(self, guarded: FlaskClient, headers: dict[str, str]) -> None:
        rules = list(guarded.application.url_map.iter_rules())
        assert len(rules) > 50
        for rule in rules:
            path = re.sub("<[^>]*>", "7", rule.rule)
            for method in ("GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH", "TRACE"):
                answer = guarded.open(path, method=method, headers=headers)
                if headers and (method, path) in {("POST", "/webhook"), ("OPTIONS", "/webhook")}:
                    assert (answer.status_code, answer.text) in {(400, answer.text), (200, "")}
                elif rule.endpoint not in OPEN:
                    assert answer.status_code == 401, (method, path)

    @pytest.mark.parametrize("path", SPELLINGS)
    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_no_spelling_of_a_path_opens_it(self, guarded: FlaskClient, path: str, method: str) -> None:
        answer = guarded.open(path, method=method, headers={"X-Webhook-Secret": SECRET})
        assert answer.status_code == 401 or (answer.status_code == 308 and answer.location.endswith(path[1:]))

    @pytest.mark.parametrize(("header", "value"), TRICKS)
    def test_no_header_stands_for_the_password(self, guarded: FlaskClient, header: str, value: str) -> None:
        assert guarded.get("/versions", headers={header: value}).status_code == 401


class TestSignIns:
    """Who guesses passwords."""

    def test_five_wrong_passwords_slow_the_sixth(self, guarded: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = [1000.0]
        monkeypatch.setattr("backend.web.guards.sign_ins.time", SimpleNamespace(monotonic=lambda: clock[0]))

        def sign_in(password: str, address: str = "192.0.2.1") -> Any:
            return guarded.get("/versions", auth=(AUTH[0], password), environ_base={"REMOTE_ADDR": address})

        assert [sign_in("a guess").status_code for _ in range(5)] == [401] * 5
        for seconds in (1, 2, 4, 8, 16, 32, 60, 60):
            refused = sign_in(AUTH[1])
            assert (refused.status_code, refused.headers["Retry-After"]) == (429, str(seconds))
            assert f"Too many wrong passwords from 192.0.2.1; try again in {seconds} s" in refused.status
            assert sign_in(AUTH[1], "192.0.2.2").status_code == 200, "another address"
            clock[0] += seconds
            assert sign_in("a guess").status_code == 401
        clock[0] += 60
        assert sign_in(AUTH[1]).status_code == 200
        assert [sign_in("a typo").status_code for _ in range(9)] == [401] * 9, "the right one came from there"


class TestHosts:
    """DNS rebinding: a page of another site whose name points here."""

    @pytest.mark.parametrize("host", ["localhost", "localhost:9090", "lsal.localhost", "192.0.2.7:80", "[::1]:9090"])
    def test_names_of_this_machine_and_addresses(self, store: Store, host: str) -> None:
        assert app(store).get("/health", headers={"Host": host}).status_code == 200

    @pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "backend.internal:9090", "[::1", ""])
    def test_other_names_need_a_password_or_a_setting(self, store: Store, host: str) -> None:
        there = {"Host": host}
        refused = app(store).get("/versions", headers=there)
        assert (refused.status_code, "ALLOWED_HOSTS" in refused.status) == (403, True)
        with_password = app(store, basic_auth_user=AUTH[0], basic_auth_pass=AUTH[1])
        assert with_password.get("/versions", headers=there, auth=AUTH).status_code == 200
        allowing = app(store, allowed_hosts="a.example, Backend.internal,")
        assert (allowing.get("/versions", headers=there).status_code == 200) == host.startswith("backend.internal")


class TestReady:
    def test_it_tells_what_is_wrong_and_then_that_all_is_well(self, client: FlaskClient, store: Store) -> None:
        found = client.get("/ready")
        assert found.status_code == 503
        assert found.get_json()["worker"].startswith("no worker has been started here")
        store.workers.beat("worker-1", None)
        assert client.get("/ready").get_json() == dict.fromkeys(("database", "label_studio", "queue", "worker"), "ok")
        assert client.get("/ready").status_code == 200

    def test_a_silent_worker_a_stuck_queue_and_a_label_studio_that_is_down(
        self, client: FlaskClient, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import time

        now = time.time()
        monkeypatch.setattr("time.time", lambda: now - 700)
        store.workers.beat("worker-1", "Label Studio at http://ls cannot be reached")
        store.events.add(7, "X")
        monkeypatch.setattr("time.time", lambda: now)
        found = client.get("/ready").get_json()
        assert found["worker"] == "the worker last reported 700 s ago; see its log"
        assert found["queue"].startswith("an event has waited for 700 s though no round runs")
        assert found["label_studio"] == "Label Studio at http://ls cannot be reached"
        store.of(7).rounds.begin(1, reason="x", labels=0, tasks=0, targets=[])
        assert client.get("/ready").get_json()["queue"] == "ok", "it waits for the round that runs"

    def test_a_database_that_cannot_be_read(self, client: FlaskClient, store: Store) -> None:
        store.database.close()
        store.database.file.path.write_bytes(b"no database" * 1000)
        found = client.get("/ready")
        assert found.status_code == 503
        assert found.get_json()["database"] == "the database cannot be used (file is not a database)"


class TestLimits:
    @pytest.fixture
    def served(self, client: FlaskClient, adapter: Any) -> FlaskClient:
        adapter(1)
        return client

    def predict(self, client: FlaskClient, tasks: Any, **more: Any) -> Any:
        return client.post("/predict", json={"project": 7, "tasks": tasks, **more})

    def test_too_many_tasks(self, served: FlaskClient) -> None:
        answer = self.predict(served, [{}] * 100_000)
        assert (answer.status_code, "100000 tasks in one call; select at most 50000" in answer.status) == (413, True)

    def test_a_text_of_ten_megabytes(self, served: FlaskClient) -> None:
        answer = self.predict(served, [{"id": 1, "data": {"text": "x"}}, {"id": 5, "data": {"text": "x" * 10_000_000}}])
        assert answer.status_code == 413
        assert "text of task 5 has 10000000 characters" in answer.status

    def test_texts_full_of_brackets(self, served: FlaskClient) -> None:
        answer = self.predict(served, [{"id": n, "data": {"text": '[{}]"\\ ' * 100_000}} for n in range(6)])
        assert answer.status_code == 200

    def test_a_body_of_very_many_objects(self, served: FlaskClient) -> None:
        body = b'{"project": 7, "tasks": [' + b"{}," * 1_000_000 + b"{}]}"
        tracemalloc.start()
        answer = served.post("/predict", data=body)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert (answer.status_code, "more than 1000000 objects and lists" in answer.status) == (413, True)
        assert most < 10 * len(body), "parsed, it would take 25 times its size"

    @pytest.mark.parametrize("path", ["/setup", "/webhook", "/api/projects/7/pause"])
    def test_only_predictions_need_large_bodies(self, served: FlaskClient, path: str) -> None:
        answer = served.post(path, data=b" " * (4 * 2**20 + 1))
        assert (answer.status_code, "more than 4 MB; send less" in answer.status) == (413, True)

    def test_a_body_that_is_too_large_told_or_not(self, store: Store) -> None:
        small = app(store, max_body_mb=1)
        answer = small.post("/predict", data=b"[" + b" " * 2**21)
        assert (answer.status_code, "more than 1 MB" in answer.status) == (413, True)
        chunked = {
            "wsgi.input_terminated": True,
            "HTTP_TRANSFER_ENCODING": "chunked",
        }  # as such a server says it
        answer = small.post("/predict", input_stream=io.BytesIO(b"[" + b" " * 2**21), environ_overrides=chunked)
        assert answer.status_code == 400, "werkzeug cuts it at the limit, so that it is no JSON any more"

    @pytest.mark.parametrize("path", ["/setup", "/predict", "/webhook"])
    def test_json_that_is_nested_deep_or_no_json(self, served: FlaskClient, path: str) -> None:
        for body in (b"[" * 200_000, b'{"a":' * 100_000, b"\x00", b'{"project": \xff}', b"1" * 10_000, b'"\\ud800"'):
            answer = served.post(path, data=body)
            assert answer.status_code == 400, body[:10]
        deep = json.dumps({"project": 7, "tasks": [{"data": {"text": json.loads("[" * 200 + "]" * 200)}}], **EVENT})
        assert served.post(path, data=deep).status_code < 500

    @pytest.mark.parametrize(
        "project", ["../7", "7/../../etc", "7\x00", "-7", "7e3", 7.5, True, [], {}, "", " 7", "٧", 2**70]
    )
    @pytest.mark.parametrize("path", ["/setup", "/predict", "/webhook"])
    def test_projects_that_are_no_numbers(self, served: FlaskClient, path: str, project: Any) -> None:
        answer = served.post(path, json={**SETUP, "tasks": [], "action": "X", "project": project})
        assert (answer.status_code, "'project' must be the number" in answer.status) == (400, True)

    @pytest.mark.parametrize(
        "text", ["a\x00b", "\x00", "\ud800", "x\udfff", "\u2028", "\ufeff", "𝕏" * 5000, " " * 100_000]
    )
    def test_texts_that_are_strange_are_answered(self, served: FlaskClient, text: str) -> None:
        answer = served.post("/predict", data=json.dumps({"project": 7, "tasks": [{"data": {"text": text}}]}))
        assert answer.status_code == 200
        assert len(answer.get_json()["results"]) == 1

    @pytest.mark.parametrize(
        "data",
        [None, [], "x", 7, {"text": None}, {"text": {"a": 1}}, {"text": [1]}, {"text": 1e308}, {"other": "x"}, {}],
    )
    def test_tasks_of_other_shapes_are_answered(self, served: FlaskClient, data: Any) -> None:
        assert self.predict(served, [{"data": data}]).status_code == 200

    @pytest.mark.parametrize(
        "config", ["<", "<View>", "\x00", "<View>\x00</View>", "<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><View>&a;</View>",
                   "<View>" * 5000, "\ud800", "<a/>" * 3, CONFIG.replace("$text", "$" + "x" * 100_000)]
    )  # fmt: skip
    def test_label_configs_that_are_none(self, served: FlaskClient, config: str) -> None:
        for path, body in (
            ("/setup", {**SETUP, "schema": config}),
            ("/predict", {"project": 7, "tasks": [{"data": {"text": "x"}}], "label_config": config}),
        ):
            answer = served.post(path, data=json.dumps(body))
            assert answer.status_code < 500, answer.text
            assert "root:" not in answer.text

    def test_no_host_is_called_whatever_a_request_says(self, served: FlaskClient, monkeypatch: Any) -> None:
        def refuse(_: Any, address: Any) -> None:
            raise AssertionError(f"{address} was called")

        monkeypatch.setattr("socket.socket.connect", refuse)
        evil = "http://evil.example/text.txt"
        assert served.post("/setup", json={**SETUP, "hostname": evil, "access_token": "x"}).status_code == 200
        named = {**SETUP, "extra_params": '{"base_model": "attacker/huge"}'}
        assert served.post("/setup", json=named).status_code == 422
        outside = "<!DOCTYPE View SYSTEM 'http://evil.example/x.dtd'>" + CONFIG
        assert served.post("/setup", json={**SETUP, "schema": outside}).status_code < 500
        assert self.predict(served, [{"id": 1, "data": {"text": evil}}]).status_code == 200
        assert served.post("/webhook", json={**EVENT, "task": {"data": {"text": evil}}}).status_code == 201

    def test_a_disconnected_project_keeps_no_events(self, served: FlaskClient, store: Store) -> None:
        store.projects.set(7, connected=False)
        before = store.events.count()
        assert served.post("/webhook", json=EVENT).get_json()["status"] == "ignored"
        assert store.events.count() == before


def test_a_database_that_fails_is_said_to_and_predictions_go_on(
    client: FlaskClient, store: Store, adapter: Any
) -> None:
    adapter(1)
    task = {"data": {"text": "an apple"}}
    before = client.post("/predict", json={"project": 7, "tasks": [task]}).get_json()
    store.database.close()
    store.database.file.path.write_bytes(b"no database" * 1000)
    for path in (f"{store.database.file.path}-wal", f"{store.database.file.path}-shm"):
        open(path, "wb").close()
    answer = client.post("/webhook", json=EVENT)
    assert (answer.status_code, "database cannot be used" in answer.status) == (503, True)
    after = client.post("/predict", json={"project": 7, "tasks": [task]})
    assert (after.status_code, after.get_json()) == (200, before)


class TestPlaces:
    """Calls of /predict at the same time."""

    @pytest.fixture(autouse=True)
    def impatient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(load, "_PATIENCE", 0.01)

    def predict(self, client: FlaskClient, size: int) -> Any:
        return client.post("/predict", json={"project": 7, "tasks": [{"id": 1, "data": {"text": "x" * size}}]})

    def test_one_more_than_there_are_places(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        client = app(store, threads=2)
        client.post("/setup", json=SETUP)
        answers: list[Any] = []

        def project(*_: Any) -> None:  # while a call runs, another comes
            if len(answers) < 3:
                answers.append(None)
                answers.append(self.predict(client, 0))

        monkeypatch.setattr(Serving, "project", project)
        assert self.predict(client, 0).status_code == 200
        third, second = [each for each in answers if each is not None]
        assert (second.status_code, third.status_code, third.headers["Retry-After"]) == (200, 503, "5")
        assert "2 predictions run at the moment; repeat the call in 5 seconds" in third.status
        assert self.predict(client, 0).status_code == 200, "the places are free again"

    def test_a_call_waits_a_while_for_a_place(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(load, "_PATIENCE", 300.0)
        monkeypatch.setattr(load, "WAITING", 2)
        made = create_app(Settings(threads=2), store, Serving(store, BaseModels()))
        made.test_client().post("/setup", json=SETUP)
        begun, end = threading.Semaphore(0), threading.Event()

        def project(*_: Any) -> None:
            begun.release()
            end.wait(300)

        monkeypatch.setattr(Serving, "project", project)
        with ThreadPoolExecutor() as pool:
            calls = [pool.submit(self.predict, made.test_client(), 0) for _ in range(2)]
            assert begun.acquire(timeout=300)
            assert begun.acquire(timeout=300)
            calls += [pool.submit(self.predict, made.test_client(), 0) for _ in range(4)]
            wait_for("two that find no place to wait", lambda: sum(each.done() for each in calls) == 2)
            end.set()
            assert sorted(each.result().status_code for each in calls) == [200, 200, 200, 200, 503, 503]

    def test_large_ones_come_one_at_a_time(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        client = app(store)
        client.post("/setup", json=SETUP)
        refused = []
        monkeypatch.setattr(Serving, "project", lambda *_: refused.append(self.predict(client, 5 * 2**20)))
        assert self.predict(client, 5 * 2**20).status_code == 200
        assert [each.status_code for each in refused] == [503]

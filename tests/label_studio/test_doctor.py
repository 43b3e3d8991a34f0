"""`lsal doctor`, with a real Label Studio and a real backend brought into the very state that each check is for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import jwt
import pytest

from backend.cli.build import new_models
from backend.demo.label_studio import LabelStudioServer
from backend.doctor import access, machine
from backend.doctor.examine import examine
from backend.doctor.finding import Finding
from backend.labelstudio.api import webhook_registration
from backend.labelstudio.api.client import Client
from backend.learners.models.cache import BaseModels
from backend.rounds.connection.repair import secret_of
from backend.settings import load_settings
from backend.store import Store
from tests.conftest import labeled_sentences
from tests.language_model import MODEL, language_model
from tests.real import AUTH, Backend, Team
from tests.servers import free_port, http_server

MODELS = BaseModels()


class Findings(dict[str, Finding]):
    """By check; of a check that was not made, it tells what was found instead."""

    def __missing__(self, check: str) -> Finding:
        raise AssertionError(f"there is no finding of '{check}', only {list(self.values())}")


def diagnose(backend: Backend, project: int | None = None, **options: Any) -> Findings:
    """The last finding of each check. `environment` changes the backend's, None removes a variable."""
    environment = {**backend.environment, **options.pop("environment", {})}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value) if value is not None else patch.delenv(name, raising=False)
        settings = load_settings()

        def open_store() -> Store:
            store = Store(settings.model_dir)
            store.database.migrate()
            return store

        models = new_models(settings) if settings.openai_base_url else MODELS
        found = examine(settings, open_store, models, project_id=project, **options)
        return Findings((each.check, each) for each in found)


def problem(found: Finding) -> str:
    assert found.status == "problem", found
    return f"{found.found} → {found.remedy}"


def doctor(backend: Backend, *arguments: str, **environment: str) -> tuple[int, str]:
    done = backend.lsal("doctor", *arguments, **environment)
    return done.code, done.out


@pytest.fixture(scope="module")
def quiet(
    label_studio: LabelStudioServer, tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Backend]:
    """A backend of its own, which can be stopped and started again."""
    running = Backend(label_studio, tmp_path_factory.mktemp("quiet"), tiny_encoder)
    running.start()
    yield running
    assert running.stop() == 0


def connected(team: Team) -> Team:
    team.create([text for text, _ in labeled_sentences(30)])
    team.connect()
    team.wait_for_round(1)
    return team


@pytest.fixture(scope="module")
def healthy(label_studio: LabelStudioServer, quiet: Backend, annotators: Any) -> Team:
    """One connected project for the checks that leave it, or put it back, as it was.

    Its worker is stopped after the first round: it would repair, sooner or later, what the doctor is to find.
    """
    team = connected(Team(label_studio, quiet, annotators))
    quiet.stop()
    quiet.command = "web"
    quiet.start()
    return team


@contextmanager
def answering(status: int, body: bytes = b"", **headers: str) -> Iterator[str]:
    """A server that gives the same answer to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *arguments: Any) -> None:
            pass

    with http_server(Handler) as url:
        yield url


# --- A healthy installation, by the command line ----------------------------------------------------------------------


def test_all_is_well_or_a_problem_is_a_line_with_what_to_do(team: Team) -> None:
    healthy = connected(team)
    code, output = doctor(healthy.backend, str(healthy.id), "--json")
    report = json.loads(output)
    assert {found["check"]: found["status"] for found in report["findings"]} == dict.fromkeys(
        ["disk", "model", "language", "worker", "web", "password", "label_studio", "clock", "token", "setup_token",
         "project", "label_config", "reached", "connection", "webhook", "queue"], "ok",
    )  # fmt: skip
    assert (code, report["healthy"]) == (0, True)
    assert healthy.server.owner.token not in output
    backends = healthy.call("GET", f"/api/ml/?project={healthy.id}")
    assert [each["url"] for each in backends] == [healthy.backend.url], "the trial call was saved"

    code, output = doctor(healthy.backend, str(healthy.id), LABEL_STUDIO_API_KEY="0" * 40)
    (line,) = [line for line in output.splitlines() if line.startswith("problem")]
    assert "LABEL_STUDIO_API_KEY is a legacy token" in line
    assert "not accepted (401)" in line
    assert "→ create a personal access token" in line
    assert code == 1
    assert output.splitlines()[-1].endswith("1 problems, 0 warnings")
    _, output = doctor(healthy.backend, str(healthy.id), LABEL_STUDIO_API_KEY="abc")
    assert "LABEL_STUDIO_API_KEY is a text of 3 characters, and not one of" in " ".join(output.split())


def test_a_wrong_environment(backend: Backend) -> None:
    code, output = doctor(backend, "--json", LOG_LEVEL="LOUD")
    (found,) = json.loads(output)["findings"]
    assert (code, found["check"], found["status"]) == (1, "environment", "problem")
    assert "LOG_LEVEL" in found["found"]


# --- Our side ---------------------------------------------------------------------------------------------------------


def test_no_address_and_key(backend: Backend) -> None:
    found = diagnose(backend, environment={"LABEL_STUDIO_API_KEY": None})
    assert "LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY must be set" in problem(found["environment"])


def test_a_folder_that_cannot_be_written_to_or_is_full(backend: Backend, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    found = diagnose(backend, environment={"MODEL_DIR": str(tmp_path / "file" / "data")})
    assert "cannot be written to (Not a directory) → give the backend's user write access" in problem(found["disk"])
    assert "less than 1048576.0 GiB → free some space" in problem(machine.disk(tmp_path, room=2**50))


def test_a_broken_database(backend: Backend, tmp_path: Path) -> None:
    (tmp_path / "state.sqlite3").write_bytes(b"this is no database, whatever its name says" * 100)
    found = diagnose(backend, environment={"MODEL_DIR": str(tmp_path)})
    assert "cannot be opened (DatabaseError: file is not a database); check who owns it" in problem(found["store"])


def test_a_model_that_does_not_load(backend: Backend, tmp_path: Path) -> None:
    found = diagnose(backend, environment={"LSAL_BASE_MODEL": str(tmp_path), "MODEL_DIR": str(tmp_path / "data")})
    assert "cannot be loaded" in problem(found["model"])


def test_a_model_behind_a_server(backend: Backend, tmp_path: Path) -> None:
    with language_model() as toy:
        environment = {
            "LSAL_BASE_MODEL": f"openai:{MODEL}",
            "MODEL_DIR": str(tmp_path),
            "OPENAI_BASE_URL": f"{toy.url}/v1",
        }
        found = diagnose(backend, environment=environment)["model"]
        assert found.status == "ok"
        assert found.found.startswith(f"{toy.url}/v1 answers for {MODEL} (")
        other = diagnose(backend, environment={**environment, "LSAL_BASE_MODEL": "openai:other"})
        assert f"does not know 'other'; it serves {MODEL}" in problem(other["model"])
    nobody = diagnose(backend, environment={**environment, "OPENAI_BASE_URL": None})
    assert "set OPENAI_BASE_URL to its address" in problem(nobody["model"])


def test_neither_worker_nor_web_server(backend: Backend, tmp_path: Path) -> None:
    found = diagnose(backend, environment={"MODEL_DIR": str(tmp_path), "PORT": str(free_port())})
    assert "so nothing is trained → start `lsal serve`" in problem(found["worker"])
    assert (found["web"].status, found["project"].status) == ("warning", "warning")
    with answering(404) as url:
        found = diagnose(backend, environment={"MODEL_DIR": str(tmp_path), "PORT": url.rsplit(":", 1)[1]})
    assert "another server answers at " in found["web"].found


# --- The way to Label Studio ------------------------------------------------------------------------------------------


def test_label_studio_is_not_where_it_is_said_to_be(backend: Backend) -> None:
    nobody = f"http://localhost:{free_port()}"
    assert f"nothing answers at {nobody}" in problem(
        diagnose(backend, environment={"LABEL_STUDIO_URL": nobody})["label_studio"]
    )
    assert "is not Label Studio (status 4" in problem(
        diagnose(backend, environment={"LABEL_STUDIO_URL": backend.url})["label_studio"]
    )
    with answering(301, Location="https://label-studio.example.com/api/version") as url:
        found = diagnose(backend, environment={"LABEL_STUDIO_URL": url})["label_studio"]
    assert "redirects to https://label-studio.example.com; set LABEL_STUDIO_URL to that address" in problem(found)


def test_tokens_of_both_kinds_good_and_bad(
    healthy: Team, strict_server: LabelStudioServer, project_and_token: tuple[int, str]
) -> None:
    backend, (project_id, personal) = healthy.backend, project_and_token
    assert "is a legacy token, of demo@example.com" in diagnose(backend, healthy.id)["token"].found

    there = {"LABEL_STUDIO_URL": strict_server.url, "LABEL_STUDIO_API_KEY": personal}
    found = diagnose(backend, project_id, environment=there)
    assert found["token"].status == "ok"
    assert "is a personal access token, valid until 2" in found["token"].found
    assert "is not valid: legacy tokens are turned off" in found["setup_token"].found

    dead = {**there, "LABEL_STUDIO_API_KEY": strict_server.owner.token}
    assert "is a legacy token. Label Studio refused to name the API key's user: legacy tokens are turned off" in (
        problem(diagnose(backend, project_id, environment=dead)["token"])
    )
    expired = jwt.encode({"token_type": "refresh", "exp": 1_700_000_000}, "any secret that is 32 bytes long")
    found = diagnose(backend, project_id, environment={**there, "LABEL_STUDIO_API_KEY": expired})
    assert "the personal access token has expired (401)" in problem(found["token"])
    client = Client(strict_server.url, personal)
    access_token = client.request("POST", "api/token/refresh/", json={"refresh": personal})["access"]
    assert "access token, valid for a few minutes" in problem(access.token(client, access_token))


def test_clocks_that_disagree(healthy: Team) -> None:
    now = datetime.now(UTC)
    for ahead, expected in ((0, "s apart"), (600, "s ahead of Label Studio's"), (-600, "s behind Label Studio's")):
        _, found = access.label_studio(healthy.server.url, now + timedelta(seconds=ahead))
        assert expected in found.found
        assert found.status == ("problem" if ahead else "ok")


def test_a_sign_in_page_before_label_studio_is_no_traceback(backend: Backend) -> None:
    with answering(200, b"<html>Sign in</html>", Date="Mon, 23 Nov 2026 08:00:00 GMT") as url:
        there = {"LABEL_STUDIO_URL": url}
        assert "is not Label Studio (status 200" in problem(diagnose(backend, environment=there)["label_studio"])
        assert "no JSON; is there a sign-in page" in problem(access.token(Client(url, "0" * 40), "0" * 40))


# --- The project, and the way back ------------------------------------------------------------------------------------


def test_a_project_that_does_not_exist(backend: Backend) -> None:
    assert "it does not exist, or the API key's user cannot see it (404)" in problem(
        diagnose(backend, 99_999)["project"]
    )


def test_a_label_config_that_is_not_supported(team: Team) -> None:
    team.create(["a text"], '<View><Text name="t" value="$text"/><DateTime name="r" toName="t"/></View>')
    assert "<DateTime name='r'> is not supported" in problem(diagnose(team.backend, team.id)["label_config"])


def test_not_connected_and_connected_by_the_doctor(team: Team) -> None:
    team.create([text for text, _ in labeled_sentences(30)])
    assert "no ML backend is connected → connect this backend" in problem(diagnose(team.backend, team.id)["connection"])
    found = diagnose(team.backend, team.id, url=team.backend.url)
    assert found["reached"].status == "ok"
    assert f"with the URL {team.backend.url}" in problem(found["connection"])
    assert team.call("GET", f"/api/ml/?project={team.id}") == []
    assert diagnose(team.backend, team.id, url=team.backend.url, fix=True)["connection"].status == "fixed"
    team.wait_for_round(1)
    found = diagnose(team.backend, team.id)
    assert {each.status for each in found.values()} == {"ok"}, found


def test_label_studio_does_not_reach_us(healthy: Team) -> None:
    def reached(url: str, **environment: str) -> str:
        return problem(diagnose(healthy.backend, healthy.id, url=url, environment=environment)["reached"])

    nobody = f"http://localhost:{free_port()}"
    assert "Connection refused" in reached(nobody)
    assert "→ start the server; in a container localhost is the container itself" in reached(nobody)
    assert "cannot resolve the name 'backend.invalid'" in reached("http://backend.invalid:9090")
    assert "refuses BASIC_AUTH_USER and BASIC_AUTH_PASS" in reached(healthy.backend.url, BASIC_AUTH_PASS="another")
    with answering(503) as url:
        assert "does not reach this backend at http://127.0.0.1" in reached(url)
        assert "503 " in reached(url)
    with answering(404) as url:
        found = diagnose(healthy.backend, healthy.id, url=url, fix=True)
        assert (found["reached"].status, found["connection"].status) == ("warning", "problem")
    with answering(200, b'{"status": "UP", "model_version": "theirs"}') as url:
        assert "another server answers there, which accepts any connection" in reached(url)
    backends = healthy.call("GET", f"/api/ml/?project={healthy.id}")
    assert [each["url"] for each in backends] == [healthy.backend.url], "a trial call was saved"
    assert len(healthy.call("GET", f"/api/webhooks/?project={healthy.id}")) == 1, "a trial call left its webhook"


def test_private_addresses_are_blocked(
    backend: Backend, strict_server: LabelStudioServer, project_and_token: Any
) -> None:
    project_id, token = project_and_token
    there = {"LABEL_STUDIO_URL": strict_server.url, "LABEL_STUDIO_API_KEY": token}
    found = diagnose(backend, project_id, url=backend.url, environment=there)
    assert "private addresses are blocked → " in problem(found["reached"])
    assert "USE_DEFAULT_BANNED_SUBNETS=false USER_ADDITIONAL_BANNED_SUBNETS=169.254.0.0/16" in found["reached"].remedy


def test_private_addresses_are_blocked_for_webhooks_only(
    half_open_server: LabelStudioServer, program: Path, project_and_token: Any, tiny_encoder: Path, tmp_path: Path
) -> None:
    project_id, token = project_and_token
    theirs = Backend(half_open_server, tmp_path, tiny_encoder, command="web", LABEL_STUDIO_API_KEY=token)
    theirs.start()
    try:
        found = diagnose(theirs, project_id, url=theirs.url, fix=True)
        assert found["reached"].status == "ok"
        assert "Label Studio blocks private addresses" in problem(found["connection"])
        found = diagnose(theirs, project_id)
        assert found["connection"].status == "ok"
        assert "Label Studio blocks private addresses; start it with USE_DEFAULT_BANNED_SUBNETS=false" in (
            problem(found["webhook"])
        )
        # A webhook from the time before the addresses were blocked is there, and Label Studio sends nothing to it.
        with LabelStudioServer(program, half_open_server.folder, free_port()) as open_server:
            webhook_registration.ensure(
                Client(open_server.url, token), project_id, theirs.url, secret_of(theirs.store, project_id)
            )
        assert "Label Studio blocks private addresses" in problem(diagnose(theirs, project_id)["webhook"])
        client = Client(half_open_server.url, token)
        client.delete_backend(client.backends(project_id)[0].id)
    finally:
        theirs.stop()


def test_a_wrong_password_in_the_settings_of_the_model(healthy: Team) -> None:
    (backend,) = healthy.call("GET", f"/api/ml/?project={healthy.id}")
    healthy.backend.stop()  # Label Studio saves no password that does not work: another backend had it
    before = healthy.backend.environment
    try:
        healthy.backend.environment = {**before, "BASIC_AUTH_PASS": "a new one"}
        healthy.backend.start()
        found = diagnose(healthy.backend, healthy.id)
        assert "hold a wrong user or password → enter BASIC_AUTH_USER" in problem(found["connection"])
        assert found["webhook"].status == "ok", "its secret has nothing to do with the password"
        found = diagnose(healthy.backend, healthy.id, fix=True)
        assert found["connection"].status == "fixed"
        assert diagnose(healthy.backend, healthy.id)["connection"].status == "ok"
    finally:
        healthy.backend.stop()
        healthy.backend.environment = before
        healthy.backend.start()
    assert diagnose(healthy.backend, healthy.id, fix=True)["connection"].status == "fixed"
    assert backend["id"] == healthy.call("GET", f"/api/ml/?project={healthy.id}")[0]["id"]


def test_nothing_is_repaired_that_may_be_somebody_elses(healthy: Team) -> None:
    """Without the server's password, or with another backend connected, --fix must change nothing."""
    before = healthy.call("GET", f"/api/webhooks/?project={healthy.id}")
    nothing = {"BASIC_AUTH_USER": None, "BASIC_AUTH_PASS": None}
    found = diagnose(healthy.backend, healthy.id, fix=True, environment=nothing)
    assert (found["reached"].status, found["connection"].status) == ("problem", "ok")
    assert healthy.call("GET", f"/api/webhooks/?project={healthy.id}") == before


def test_another_backend_is_not_taken_for_ours(team: Team, quiet: Backend) -> None:
    team.create(["a text"])
    with answering(200, b'{"status": "UP", "model_class": "theirs"}') as theirs:
        team.connect_to({"url": f"{theirs}/sam", "project": team.id, "title": "SAM"})
        hooks = team.call("GET", f"/api/webhooks/?project={team.id}")
        found = diagnose(quiet, team.id, fix=True)
        assert f"nor which of its ML backends is this one ({theirs}/sam) → give the URL" in problem(found["connection"])
        found = diagnose(quiet, team.id, url=f"{theirs}/learning", fix=True)
        assert (found["reached"].status, found["connection"].status) == ("problem", "problem")
        assert team.call("GET", f"/api/webhooks/?project={team.id}") == hooks
        found = diagnose(quiet, team.id, url=quiet.url, fix=True)
        assert (found["reached"].status, found["connection"].status) == ("ok", "fixed")
        assert {each["url"] for each in team.call("GET", f"/api/ml/?project={team.id}")} == {f"{theirs}/sam", quiet.url}


def test_webhooks_missing_and_twice(healthy: Team) -> None:
    def hooks() -> Any:
        return healthy.call("GET", f"/api/webhooks/?project={healthy.id}")

    (hook,) = hooks()
    healthy.call("DELETE", f"/api/webhooks/{hook['id']}/")
    assert "there is no webhook" in problem(diagnose(healthy.backend, healthy.id)["webhook"])
    assert hooks() == [], "the trial webhook was left"
    for expected in ("there is no webhook", "there are 2 webhooks"):
        found = diagnose(healthy.backend, healthy.id, fix=True)["webhook"]
        assert (found.status, found.found.startswith(expected)) == ("fixed", True)
        (made,) = hooks()
        assert made["headers"]["X-Webhook-Secret"].startswith(f"{healthy.id}.")
        if expected.startswith("there is no"):
            same = {
                name: made[name] for name in ("url", "headers", "send_payload", "send_for_all_actions", "is_active")
            }
            healthy.call("POST", "/api/webhooks/", {**same, "project": healthy.id})


def test_connected_twice(healthy: Team) -> None:
    """Label Studio on SQLite can save a connection twice, see `Team.connect_to`."""
    (first,) = healthy.call("GET", f"/api/ml/?project={healthy.id}")
    model = {name: first[name] for name in ("url", "title", "project", "auth_method", "basic_auth_user")}
    second = healthy.call("POST", "/api/ml/", {**model, "basic_auth_pass": AUTH[1]})
    found = diagnose(healthy.backend, healthy.id)["connections"]
    assert "connected 2 times, each with its own extra params → run with --fix: the newest" in problem(found)
    assert diagnose(healthy.backend, healthy.id, fix=True)["connections"].status == "fixed"
    assert [each["id"] for each in healthy.call("GET", f"/api/ml/?project={healthy.id}")] == [second["id"]]


def test_a_host_name_without_a_dot(team: Team) -> None:
    team.create(["a text"])
    dotless = f"http://2130706433:{team.backend.port}"  # 127.0.0.1 as one number: the name without a dot that all have
    model = {"url": dotless, "project": team.id, "auth_method": "BASIC_AUTH"}
    team.connect_to({**model, "basic_auth_user": AUTH[0], "basic_auth_pass": AUTH[1]})
    assert team.call("GET", f"/api/webhooks/?project={team.id}") == []
    found = diagnose(team.backend, team.id)
    assert found["connection"].status == "ok"
    assert "a host name without a dot: connect this backend under a name with a dot" in problem(found["webhook"])


@pytest.mark.parametrize("changed", [{"sampling": "Uniform sampling"}, {"model_version": "Active learning"}])
def test_a_queue_that_somebody_switched_away_from(healthy: Team, changed: dict[str, str]) -> None:
    healthy.call("PATCH", f"/api/projects/{healthy.id}/", changed)
    assert "Label Studio serves at random → run with --fix" in problem(diagnose(healthy.backend, healthy.id)["queue"])
    assert diagnose(healthy.backend, healthy.id, fix=True)["queue"].status == "fixed"
    project = healthy.project()
    assert (project["sampling"], project["model_version"]) == ("Uncertainty sampling", f"p{healthy.id}-a0-q1")


def test_settings_of_the_project_that_disturb_the_queue(healthy: Team) -> None:
    healthy.call("PATCH", f"/api/projects/{healthy.id}/", {"show_collab_predictions": False})
    diagnose(healthy.backend, healthy.id, fix=True)
    found = diagnose(healthy.backend, healthy.id)["queue"]
    assert (found.status, found.found) == ("warning", "annotators do not see the model's suggestions")
    healthy.call("PATCH", f"/api/projects/{healthy.id}/", {"show_collab_predictions": True, "maximum_annotations": 2})
    diagnose(healthy.backend, healthy.id, fix=True)
    found = diagnose(healthy.backend, healthy.id)["queue"]
    assert (found.status, found.found.startswith("2 annotators per task")) == ("warning", True)
    healthy.call("PATCH", f"/api/projects/{healthy.id}/", {"maximum_annotations": 1})


def test_no_queue_yet_and_imports_that_recount(team: Team) -> None:
    team.create([text for text, _ in labeled_sentences(250)])
    team.connect(manage_queue=False)
    assert diagnose(team.backend, team.id)["queue"].found == "not managed: the option manage_queue is false"
    team.set_options()
    found = diagnose(team.backend, team.id)
    assert found["queue"].status in ("warning", "ok")  # the first round may be quick
    assert found["publishing"].status == "warning"
    assert "fflag_fix_back_4620_memory_efficient_predictions_import_08012025_short=true" in found["publishing"].remedy


def test_what_the_last_round_said(healthy: Team) -> None:
    projects = healthy.backend.store.projects
    projects.set(healthy.id, error="the disk was full")
    assert "the last round failed: the disk was full" in problem(diagnose(healthy.backend, healthy.id)["state"])
    projects.set(healthy.id, error=None)


def test_another_folder_than_the_servers(healthy: Team, tmp_path: Path) -> None:
    found = diagnose(healthy.backend, healthy.id, environment={"MODEL_DIR": str(tmp_path)})
    assert "this MODEL_DIR does not know the project" in problem(found["connection"])
    found = diagnose(healthy.backend, healthy.id, url=healthy.backend.url, environment={"MODEL_DIR": str(tmp_path)})
    assert "this MODEL_DIR does not know the project" in problem(found["state"])


def test_a_queue_whose_predictions_are_gone_is_not_called_repaired(healthy: Team) -> None:
    version = {"model_version": f"p{healthy.id}-a0-q1"}
    healthy.call("DELETE", f"/api/projects/{healthy.id}/model-versions/", version)
    healthy.call("PATCH", f"/api/projects/{healthy.id}/", {"sampling": "Sequential sampling", "model_version": ""})
    found = diagnose(healthy.backend, healthy.id, fix=True)["queue"]
    assert "→ its predictions were deleted: the next round publishes a new queue" in problem(found)


def test_a_lock_of_another_user_is_only_read(tmp_path: Path) -> None:
    (tmp_path / "worker.lock").touch(0o444)
    assert machine.worker(tmp_path, None).status == "problem"  # no worker; and no PermissionError

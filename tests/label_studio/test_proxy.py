"""Both sides behind a reverse proxy that strips a path prefix, as nginx does."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import httpx
import pytest

from backend.demo.label_studio import LabelStudioServer
from backend.labelstudio.api.client import Client
from backend.labelstudio.api.probes import whoami
from tests.conftest import labeled_sentences
from tests.label_studio.test_doctor import diagnose
from tests.real import AUTH, Team, wait_for
from tests.servers import http_server

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-encoding", "content-length", "server", "date"}


@pytest.fixture
def proxy(label_studio: LabelStudioServer, strict_server: LabelStudioServer, team: Team) -> Iterator[str]:
    """Its address. /labels, /strict and /learning lead to the two Label Studios and to the backend."""
    behind = {"labels": label_studio.url, "strict": strict_server.url, "learning": team.backend.url}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            prefix, _, rest = self.path.removeprefix("/").partition("/")
            if prefix not in behind:
                self.send_error(404)
                return
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            answer = httpx.request(self.command, f"{behind[prefix]}/{rest}", headers=headers, content=body, timeout=300)
            self.send_response(answer.status_code, answer.reason_phrase)
            for name, value in answer.headers.items():
                if name not in HOP_BY_HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815

        def log_message(self, *arguments: Any) -> None:
            pass

    with http_server(Handler) as url:
        yield url


def test_a_backend_below_a_path(team: Team, proxy: str) -> None:
    url = f"{proxy}/learning"
    team.create([text for text, _ in labeled_sentences(30)])
    model = {"url": url, "project": team.id, "auth_method": "BASIC_AUTH", "basic_auth_user": AUTH[0]}
    # Label Studio gives the health check one second, which is little for two proxies on a busy machine.
    wait_for(
        "the connection",
        lambda: team.http.post("/api/ml/", json={**model, "basic_auth_pass": AUTH[1]}).status_code == 201,
    )
    team.wait_for_round(1)
    assert [hook["url"] for hook in team.call("GET", f"/api/webhooks/?project={team.id}")] == [f"{url}/webhook"]
    before = team.backend.store.events.newest().get(team.id, 0)

    def arrived() -> bool:
        """Label Studio gives an event up after a second."""
        team.label_batch(1)
        return team.backend.store.events.newest().get(team.id, 0) > before

    assert any(arrived() for _ in range(10)), "no webhook arrived"
    there = {"LABEL_STUDIO_URL": f"{proxy}/labels/"}
    found = diagnose(team.backend, team.id, environment=there)
    assert {each.status for each in found.values()} == {"ok"}, found


def test_a_label_studio_below_a_path_with_both_kinds_of_token(
    label_studio: LabelStudioServer, project_and_token: tuple[int, str], proxy: str
) -> None:
    project_id, token = project_and_token
    assert Client(f"{proxy}/strict", token).project(project_id).task_number == 2
    assert whoami(Client(f"{proxy}/labels", label_studio.owner.token)) == label_studio.owner.email


def test_a_wrong_path_is_named(team: Team, proxy: str) -> None:
    team.create(["a text"])
    found = diagnose(team.backend, team.id, environment={"LABEL_STUDIO_URL": f"{proxy}/nowhere"})["label_studio"]
    assert (found.status, "is not Label Studio (status 404" in found.found) == ("problem", True)
    found = diagnose(team.backend, team.id, url=f"{proxy}/nowhere")["reached"]
    assert (found.status, "is not this backend's own server (404)" in found.found) == ("warning", True)

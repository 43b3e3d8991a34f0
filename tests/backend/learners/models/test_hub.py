"""Downloads from a hub: another process, since the hub's address is read when its library is imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from backend.cli.build import new_models
from backend.learners.models import hub as hub_
from backend.settings import Settings
from tests.servers import http_server

COMMITS = {"main": "a" * 40, "v1": "b" * 40}
PICKLE = "pytorch_model.bin"
PROGRAM = """
import sys
from backend.errors import ModelError
from backend.learners.models.hub import downloaded, folder_of, limit
limit(float(sys.argv[1]))
for name in sys.argv[2:]:
    try:
        print(folder_of(name))
    except ModelError as error:
        print("refused:", error)
    print(downloaded(name) is not None)
"""


class Hub:
    """A hub with one repository, and what was asked of it."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files, self.asked, self.url, self.away = files, [], "", False

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.asked.append(f"{handler.command} {handler.path}")
        found, body = self._find(handler.path.split("?")[0])
        if self.away or found is None:
            handler.send_response(503 if self.away else 404)
            handler.send_header("X-Error-Code", "RepoNotFound")
            body = b""
        else:
            handler.send_response(200)
            handler.send_header("X-Repo-Commit", found)
            handler.send_header("ETag", f'"{hash(body)}"')
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if handler.command == "GET":
            handler.wfile.write(body)

    def _find(self, path: str) -> tuple[str | None, bytes]:
        parts = path.strip("/").split("/")
        if parts[:4] == ["api", "models", "org", "small"]:
            commit = COMMITS.get(parts[-1], parts[-1]) if "revision" in parts else COMMITS["main"]
            if "tree" in parts:
                files = [{"type": "file", "path": n, "size": len(f), "oid": "0"} for n, f in self.files.items()]
                return commit, json.dumps(files).encode()
            siblings = [{"rfilename": name, "size": len(file)} for name, file in self.files.items()]
            return commit, json.dumps({"id": "org/small", "sha": commit, "siblings": siblings}).encode()
        if parts[:3] == ["org", "small", "resolve"] and parts[4] in self.files:
            return COMMITS.get(parts[3], parts[3]), self.files[parts[4]]
        return None, b""

    def fetched(self, name: str) -> list[str]:
        return [each for each in self.asked if each.startswith("GET") and each.endswith(name)]


@pytest.fixture
def hub(tiny_encoder: Path) -> Iterator[Hub]:
    found = Hub({each.name: each.read_bytes() for each in tiny_encoder.iterdir()} | {PICKLE: b"pickle", "a.py": b"1"})

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            found.answer(self)

        def do_HEAD(self) -> None:
            found.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    with http_server(Handler) as url:
        found.url = url
        yield found


def load(hub: Hub, home: Path, *names: str, most_gb: float = 1.0) -> list[str]:
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(home), "HF_HUB_OFFLINE": "0"}
    command = [sys.executable, "-c", PROGRAM, str(most_gb), *names]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.splitlines()


def test_a_model_is_downloaded_once_without_pickles_and_code(hub: Hub, tmp_path: Path) -> None:
    folder, there = load(hub, tmp_path, "org/small")
    assert there == "True"
    assert {each.name for each in Path(folder).iterdir()} == set(hub.files) - {PICKLE, "a.py"}
    hub.asked.clear()
    assert load(hub, tmp_path, "org/small") == [folder, "True"]
    assert hub.asked == []  # an adapter keeps the weights that it was trained on


def test_a_revision_is_another_model(hub: Hub, tmp_path: Path) -> None:
    newest, _, first, _ = load(hub, tmp_path, "org/small", "org/small@v1")
    assert (Path(newest).name, Path(first).name) == (COMMITS["main"], COMMITS["v1"])


def test_a_large_one_is_refused_before_it_is_downloaded(hub: Hub, tmp_path: Path) -> None:
    refusal, there = load(hub, tmp_path, "org/small", most_gb=1e-6)
    assert refusal.startswith("refused: base model 'org/small' is a download of 0.0 GB")
    assert "MAX_BASE_MODEL_GB" in refusal
    assert there == "False"
    assert hub.fetched("model.safetensors") == []


def test_a_download_that_was_interrupted_is_completed(hub: Hub, tmp_path: Path) -> None:
    folder, _ = load(hub, tmp_path, "org/small")
    lost = [Path(folder) / name for name in ("model.safetensors", "tokenizer.json")]
    for each in lost:
        each.unlink()
    assert load(hub, tmp_path, "org/small") == [folder, "True"]
    assert all(each.exists() for each in lost)


def test_what_cannot_be_had_is_refused_in_one_way(hub: Hub, tmp_path: Path) -> None:
    names = ["org/none", "/no/such/folder", "no such name"]
    refusals = load(hub, tmp_path, *names)[::2]
    hub.away = True
    refusals += load(hub, tmp_path, "org/small")[:1]
    for name, refusal in zip([*names, "org/small"], refusals, strict=True):
        assert refusal.startswith(f"refused: base model '{name}' cannot be loaded (")
        assert "it is no folder here, and the hub does not provide it; check the name" in refusal


def test_the_operators_limit_is_the_hubs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_, "_most_gb", 0.0)
    new_models(Settings(max_base_model_gb=3.5))  # type: ignore[call-arg]
    assert hub_._most_gb == 3.5

"""The image's steps and commands, beside a Label Studio with the environment of the compose file."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from backend.demo.label_studio import LabelStudioServer
from tests.conftest import labeled_sentences
from tests.docker.compose import read
from tests.docker.image import REPOSITORY, Image
from tests.real import CONFIG, IMPORT_FLAG, STRICT, program, wait_for  # noqa: F401
from tests.servers import free_port

pytestmark = pytest.mark.image
TOKEN = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    """Built below /tmp, where any user may look."""
    root = Path(tempfile.mkdtemp(prefix="image-"))
    root.chmod(0o755)
    try:
        yield Image(root, TORCH_INDEX="")
    finally:
        shutil.rmtree(root)


def test_it_holds_the_wheel_and_not_the_sources(image: Image) -> None:
    code = "import backend, importlib.metadata as m; print(backend.__file__, m.version('label-studio-active-learning'))"
    done = image.run(["python", "-c", code])
    output, _ = done.communicate()
    file, version = output.decode().split()
    assert file.startswith(str(image.root / "stage2"))
    assert f'__version__ = "{version}"' in (REPOSITORY / "backend/__init__.py").read_text()


def test_it_starts_says_that_it_is_healthy_and_stops_when_told(image: Image, tmp_path: Path) -> None:
    port, log = str(free_port()), tmp_path / "log"
    there = {"LABEL_STUDIO_URL": "http://127.0.0.1:9", "LABEL_STUDIO_API_KEY": TOKEN}
    output, _ = (refused := image.run(image.command, PORT=port, **there)).communicate()
    assert (refused.returncode, b"set BASIC_AUTH_USER and BASIC_AUTH_PASS and enter both" in output) == (78, True)
    there |= {"BASIC_AUTH_USER": "label-studio", "BASIC_AUTH_PASS": "our password"}
    running = image.run(image.command, log, PORT=port, **there)
    try:
        wait_for("the health check", lambda: image.run(image.healthcheck, PORT=port).wait() == 0)
    finally:
        running.terminate()
        code = running.wait(300)
        print(log.read_text())
    assert code == 0
    assert image.run(image.healthcheck, PORT=port).wait() != 0


def test_one_up_beside_label_studio(
    image: Image,
    program: Path,  # noqa: F811
    new_folder: Callable[[Path], Path],
    tmp_path: Path,
) -> None:
    """Web and worker start together on an empty volume, the doctor connects them, and the first queue appears."""
    log = tmp_path / "log"
    theirs, url = free_port(), f"http://127.0.0.1:{free_port()}"
    services = read(
        tmp_path,
        "docker-compose.yml",
        LABEL_STUDIO_API_KEY=TOKEN,
        BASIC_AUTH_PASS="our password",
        LABEL_STUDIO_HOST=f"http://localhost:{theirs}",
    )
    shutil.rmtree(image.path("/data/models"), ignore_errors=True)
    environment = {**services["web"]["environment"], "PORT": url.rsplit(":", 1)[1]}
    environment["LABEL_STUDIO_URL"] = f"http://localhost:{theirs}"
    # The demo's own settings of Label Studio must not make up for what the compose file lacks.
    settings = {**STRICT, IMPORT_FLAG: "false", **services["label-studio"]["environment"]}
    http = httpx.Client(base_url=f"http://localhost:{theirs}", headers={"Authorization": f"Token {TOKEN}"}, timeout=300)

    def call(method: str, path: str, body: Any = None) -> Any:
        return http.request(method, path, json=body).raise_for_status().json()

    running: list[subprocess.Popen[bytes]] = []
    with LabelStudioServer(program, new_folder(tmp_path / "label-studio"), theirs, settings):
        try:
            running += [image.run(services[name]["command"], log, **environment) for name in ("web", "worker")]
            project = call("POST", "/api/projects/", {"title": "A project", "label_config": CONFIG})["id"]
            texts = [{"text": text} for text, _ in labeled_sentences(30)]
            call("POST", f"/api/projects/{project}/import", texts)
            wait_for("the web server", lambda: image.run(image.healthcheck, PORT=environment["PORT"]).wait() == 0)
            _doctor(image, environment, str(project), "--url", url, "--fix")
            wait_for(
                "a queue", lambda: call("GET", f"/api/projects/{project}/")["model_version"] == f"p{project}-a1-q1"
            )
            code, findings = _doctor(image, environment, str(project))
            not_ok = {found["check"]: found["status"] for found in findings if found["status"] != "ok"}
            assert (code, not_ok) == (0, {}), findings
        finally:
            for process in running:
                process.terminate()
            ended = [process.wait(300) for process in running]
            print(log.read_text())
    assert ended == [0, 0]
    assert not [path for path in image.path("/stage2").rglob("*") if path.stat().st_mtime > image.built]


def _doctor(image: Image, environment: dict[str, str], *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    done = image.run(["lsal", "doctor", "--json", *arguments], **environment)
    output, _ = done.communicate(timeout=300)
    return done.returncode, json.loads(output)["findings"]

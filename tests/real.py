"""A real Label Studio 1.23.2 and a real backend, started once for all tests that want them."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import httpx
import pytest
from filelock import FileLock

from backend.cli import main
from backend.demo.label_studio import Annotator, LabelStudioServer
from backend.store import Store
from tests.conftest import CLASSES, WORDS, labeled_sentences
from tests.forked import Program, started
from tests.servers import Chat, chat_server, free_port

T = TypeVar("T")
AUTH = ("label-studio", "secret of the backend")
BATCH = 8
IMPORT_FLAG = "fflag_fix_back_4620_memory_efficient_predictions_import_08012025_short"
STRICT = {
    "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "false",
    "USE_DEFAULT_BANNED_SUBNETS": "true",
    "USER_ADDITIONAL_BANNED_SUBNETS": "",
    "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK": "true",
}
CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="topic" toName="text">'
    + "".join(f'<Choice value="{name}"/>' for name in CLASSES)
    + "</Choices></View>"
)


def wait_for(what: str, look: Callable[[], T | None], patience: float = 300.0) -> T:
    """Look again and again, ever more seldom, until there is something; fails with `what` was waited for.

    patience: seconds, far more than needed on a quiet machine, since no test may fail of a busy one.
    """
    deadline, pause = time.monotonic() + patience, 0.1
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(pause)
        pause = min(1.0, 1.3 * pause)  # looking costs the servers as much as working
    raise AssertionError(f"waited {patience:.0f} s for {what}")


class Ran(NamedTuple):
    """A command that has ended."""

    code: int
    out: str
    err: str


class Backend:
    """`lsal serve`, or another command, in a process group of its own."""

    def __init__(
        self, server: LabelStudioServer, folder: Path, base_model: Path, *, command: str = "serve", **environment: str
    ) -> None:
        self.command = command
        self.port = free_port()
        self.url = f"http://localhost:{self.port}"
        self.folder = folder
        self.environment = {
            **os.environ,
            "LABEL_STUDIO_URL": server.url,
            "LABEL_STUDIO_API_KEY": server.owner.token,
            "MODEL_DIR": str(folder),
            "PORT": str(self.port),
            "LSAL_BASE_MODEL": str(base_model),
            "BASIC_AUTH_USER": AUTH[0],
            "BASIC_AUTH_PASS": AUTH[1],
            "LSAL_BATCH_SIZE": str(BATCH),
            "LSAL_EPOCHS": "30",
            "LSAL_LEARNING_RATE": "0.005",
            "LSAL_MAX_LENGTH": "32",
            "MIN_FREE_MB": "0",
            "ALLOWED_BASE_MODELS": "*",
            **environment,
        }
        self.process: Program | subprocess.Popen[bytes] | None = None
        self._store: Store | None = None

    @property
    def store(self) -> Store:
        if self._store is None or self._store.database.file is not None:  # a file may be another by now
            self._store = Store(self.folder, self.environment.get("DATABASE_URL"))
        return self._store

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.process = started("backend", [self.command], self.environment, self.folder / "log.txt")
        wait_for("the backend to answer", self._up)

    def kill(self) -> None:
        """As a power cut would: every process at once, no chance to say good-bye."""
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):  # it has ended
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(300)

    def lsal(self, *words: str, **environment: str) -> Ran:
        """Run a command beside it, in this process: another would import for many seconds."""
        out, err, code = io.StringIO(), io.StringIO(), 0
        root, mask = logging.getLogger(), os.umask(0o022)
        before = list(root.handlers), root.level
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            for name, value in {**self.environment, **environment}.items():
                patch.setenv(name, value)
            patch.setattr(sys, "argv", ["lsal", *words])
            try:
                main()
            except SystemExit as ended:
                code = int(ended.code or 0)
            finally:
                os.umask(mask)
                root.handlers[:], root.level = before
        return Ran(code, out.getvalue(), err.getvalue())

    def log(self) -> str:
        return (self.folder / "log.txt").read_text("utf-8", "replace")

    def _up(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log()[-3000:]
        try:
            return httpx.get(self.url + "/health", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False


class Team:
    """A project in Label Studio with texts, and the people who work on it."""

    def __init__(self, server: LabelStudioServer, backend: Backend, annotators: list[Annotator]) -> None:
        self.server, self.backend, self.annotators = server, backend, annotators
        self.http = httpx.Client(
            base_url=server.url, headers={"Authorization": f"Token {server.owner.token}"}, timeout=300
        )
        self.id = 0

    def create(self, texts: Sequence[str | dict[str, str]], config: str = CONFIG) -> None:
        self.id = self.call("POST", "/api/projects/", {"title": "A project", "label_config": config})["id"]
        self.add(texts)

    def add(self, texts: Sequence[str | dict[str, str]]) -> None:
        """Import texts, or the data of tasks."""
        tasks = [{"text": each} if isinstance(each, str) else each for each in texts]
        self.call("POST", f"/api/projects/{self.id}/import", tasks)

    def add_labeled(self, labeled: Sequence[tuple[str, str]]) -> None:
        """Import texts with their labels, so that Label Studio counts each of them.

        On SQLite and a busy machine it sometimes leaves the counts of an import at 0, or repeats a request whose
        second write met a locked database, so that the tasks are there twice. Such tasks are deleted, and what is
        missing is imported again.
        """
        value = {"from_name": "topic", "to_name": "text", "type": "choices"}
        tasks = [
            {"data": {"text": text}, "annotations": [{"result": [{**value, "value": {"choices": [name]}}]}]}
            for text, name in labeled
        ]
        found = f"/api/tasks?project={self.id}&page_size=1000&fields=all"
        before = {task["id"] for task in self.call("GET", found)["tasks"]}

        def counted() -> bool:
            there = [task for task in self.call("GET", found)["tasks"] if task["id"] not in before]
            known = {task["data"]["text"] for task in there if task["total_annotations"]}
            wrong = [task["id"] for task in there if not task["total_annotations"]]
            if wrong:
                items = {"all": False, "included": wrong}
                path = f"/api/dm/actions?id=delete_tasks&project={self.id}"
                self.call("POST", path, {"selectedItems": items, "project": str(self.id)})
            if missing := [task for task in tasks if task["data"]["text"] not in known]:
                self.call("POST", f"/api/projects/{self.id}/import", missing)
            return not wrong and not missing

        wait_for("the labels to be counted", counted)

    def connect(self, **extra_params: Any) -> dict[str, Any]:
        """The call that Settings → Model makes."""
        model = {
            "url": self.backend.url,
            "title": "Active learning",
            "project": self.id,
            "auth_method": "BASIC_AUTH",
            "basic_auth_user": AUTH[0],
            "basic_auth_pass": AUTH[1],
            "extra_params": extra_params,
        }
        return self.connect_to(model)

    def set_options(self, **extra_params: Any) -> None:
        """Save other *Extra params* in Settings → Model."""
        (connection,) = self.call("GET", f"/api/ml/?project={self.id}")
        changed = {**connection, "basic_auth_pass": AUTH[1], "extra_params": extra_params}
        self.call("PATCH", f"/api/ml/{connection['id']}", changed)

    def connect_to(self, model: dict[str, Any]) -> dict[str, Any]:
        """Create the connection once.

        Label Studio on SQLite repeats a request whose second write met a locked database; its first write stays, and
        the connection is there twice.
        """
        made: dict[str, Any] = self.call("POST", "/api/ml/", model)
        for each in self.call("GET", f"/api/ml/?project={self.id}"):
            if each["url"] == made["url"] and each["id"] != made["id"]:
                self.call("DELETE", f"/api/ml/{each['id']}")
        return made

    def call(self, method: str, path: str, body: Any = None) -> Any:
        def in_time() -> httpx.Response | None:
            """None if Label Studio gave the backend up after its 3 s, too few on a busy machine."""
            answer = self.http.request(method, path, json=body)
            return None if answer.status_code == 400 and "Read timed out" in answer.text else answer

        answer = wait_for("the backend to answer Label Studio in time", in_time)
        assert answer.status_code < 400, answer.text
        return answer.json() if answer.content else None

    def project(self) -> dict[str, Any]:
        found: dict[str, Any] = self.call("GET", f"/api/projects/{self.id}/")
        return found

    def label(self, task: dict[str, Any], annotator: int = 0, choice: str | None = None) -> int:
        return self.annotators[annotator].choose(task["id"], choice or truth(task["data"]["text"]))

    def label_batch(self, count: int = BATCH) -> list[int]:
        """Two annotators take turns on what Label Studio serves; the tasks in the order they were served."""
        served = []
        for number in range(count):
            annotator = number % 2
            task = self.annotators[annotator].next_task(self.id)
            assert task is not None
            served.append(task["id"])
            self.label(task, annotator)
        return served

    def wait_for_round(self, number: int, patience: float = 300.0) -> Any:
        def look() -> Any:
            found = self.backend.store.of(self.id).rounds.get(number)
            assert found is None or found.state != "failed", f"{found.error}\n{self.backend.log()[-3000:]}"
            return found if found is not None and found.state == "done" else None

        return wait_for(f"round {number} of project {self.id}", look, patience)

    def held_out(self) -> set[int]:
        """The tasks that measure the model."""
        tasks = self.backend.store.of(self.id).tasks
        return {task for task, each in tasks.placed(tasks.listed().ids.tolist()).items() if each.audit}

    def published(self) -> list[Any]:
        """The queue in force, as the store recorded it."""
        project = self.backend.store.projects.get(self.id)
        assert project is not None
        return self.backend.store.of(self.id).rounds.queue(project.queue)

    def predictions(self, version: str) -> list[dict[str, Any]]:
        found = self.call("GET", f"/api/predictions/?project={self.id}")
        return [prediction for prediction in found if prediction["model_version"] == version]


_REPOSITORY = Path(__file__).parents[1]


def truth(text: str) -> str:
    """The class that the words of a text give away."""
    return next(name for name, words in WORDS.items() if any(word in text.split() for word in words))


@pytest.fixture(scope="session")
def program() -> Path:
    """The label-studio program that `make label-studio` installs."""
    return _program()


def _program() -> Path:
    return Path(os.environ.get("LABEL_STUDIO", _REPOSITORY / ".venv-label-studio/bin/label-studio")).absolute()


def migrated() -> Path:
    """A folder with Label Studio's data before its first user.

    Its migrations take half a minute of computing, so they run once, and later runs of the tests copy the result.
    """
    version = sha256((_REPOSITORY / "constraints-label-studio.txt").read_bytes()).hexdigest()[:12]
    folder = _REPOSITORY / "build" / f"label-studio-{version}"
    folder.parent.mkdir(exist_ok=True)
    with FileLock(f"{folder}.lock"):  # several processes run tests
        if not folder.exists():
            shutil.rmtree(made := folder.with_suffix(".new"), ignore_errors=True)
            environment = {**os.environ, "LABEL_STUDIO_BASE_DATA_DIR": str(made), "LATEST_VERSION_CHECK": "false"}
            made.mkdir()
            subprocess.run([_program(), "version"], env=environment, check=True, stdout=subprocess.DEVNULL)
            made.rename(folder)
    return folder


@pytest.fixture(scope="session")
def new_folder() -> Callable[[Path], Path]:
    """Fills a folder with Label Studio's data before its first user."""
    return lambda folder: Path(shutil.copytree(migrated(), folder, dirs_exist_ok=True))


@pytest.fixture(scope="session")
def label_studio(
    program: Path, new_folder: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LabelStudioServer]:
    """As most teams run it: the feature flag that speeds up imports is off, which is its default."""
    folder = new_folder(tmp_path_factory.mktemp("label-studio"))
    with LabelStudioServer(program, folder, free_port(), {IMPORT_FLAG: "false"}) as server:
        yield server


@pytest.fixture(scope="session")
def strict_server(
    program: Path, new_folder: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LabelStudioServer]:
    """The opposite of the other: the flag on; legacy tokens off and private addresses blocked, as by default."""
    with LabelStudioServer(program, new_folder(tmp_path_factory.mktemp("strict")), free_port(), STRICT) as server:
        yield server


@pytest.fixture(scope="session")
def half_open_server(program: Path, strict_server: LabelStudioServer) -> Iterator[LabelStudioServer]:
    """A second process on the strict one's data, which lets ML backends have private addresses, but not webhooks."""
    half_open = {**STRICT, "ML_BLOCK_LOCAL_IP": "false"}
    with LabelStudioServer(program, strict_server.folder, free_port(), half_open) as server:
        yield server


@pytest.fixture(scope="session")
def project_and_token(strict_server: LabelStudioServer) -> tuple[int, str]:
    """There, a project of two texts and a personal access token, both made in a browser's session."""
    server = strict_server
    with httpx.Client(base_url=server.url, follow_redirects=True, timeout=300) as browser:
        page = browser.get("/user/login/").text
        (csrf,) = re.findall(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        form = {"email": server.owner.email, "password": server.owner.password, "csrfmiddlewaretoken": csrf}
        browser.post("/user/login/", data=form, headers={"Referer": f"{server.url}/user/login/"})
        browser.headers.update({"X-CSRFToken": browser.cookies["csrftoken"], "Referer": server.url})
        project = browser.post("/api/projects/", json={"title": "A project", "label_config": CONFIG}).json()
        texts = [{"text": "an apple"}, {"text": "a saw"}]
        browser.post(f"/api/projects/{project['id']}/import", json=texts).raise_for_status()
        return project["id"], browser.post("/api/token/", json={}).json()["token"]


@pytest.fixture(scope="session")
def chat() -> Iterator[Chat]:
    """Where the shared backend says that a project may stop labeling."""
    with chat_server() as listening:
        yield listening


@pytest.fixture(scope="session")
def backend(
    label_studio: LabelStudioServer, tiny_encoder: Path, chat: Chat, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Backend]:
    running = Backend(label_studio, tmp_path_factory.mktemp("backend"), tiny_encoder, NOTIFY_URL=chat.url)
    running.start()
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="session")
def annotators(label_studio: LabelStudioServer) -> Iterator[list[Annotator]]:
    tokens = [label_studio.sign_up(f"annotator{number}@example.com").token for number in (1, 2)]
    people = [Annotator(label_studio.url, token) for token in tokens]
    yield people
    for person in people:
        person.close()


@pytest.fixture
def team(label_studio: LabelStudioServer, backend: Backend, annotators: list[Annotator]) -> Iterator[Team]:
    made = Team(label_studio, backend, annotators)
    before = {project.id for project in backend.store.projects.all(connected=False)}
    yield made
    for project in backend.store.projects.all(connected=False):
        if project.id not in before:  # the shared backend would sync it every minute
            with contextlib.suppress(httpx.HTTPError):  # a test may have deleted the project, or failed for this
                for connection in made.http.get(f"/api/ml/?project={project.id}").raise_for_status().json():
                    made.http.delete(f"/api/ml/{connection['id']}")
            backend.store.projects.set(project.id, connected=False)
    made.http.close()


@pytest.fixture
def connected(team: Team) -> Team:
    """A project of 90 texts whose first queue is out."""
    team.create([text for text, _ in labeled_sentences(90)])
    team.connect()
    team.wait_for_round(1)
    return team

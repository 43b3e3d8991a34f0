"""A team whose web server and worker are processes of their own, to be killed one by one, with faults between."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from backend.demo.label_studio import Annotator, LabelStudioServer
from backend.labelstudio.api.client import Client
from backend.learners.models.cache import BaseModels
from backend.rounds.connection.reconcile import reconcile
from backend.rounds.context import Context
from tests.forked import Program, started
from tests.label_studio.faults.proxy import FaultyProxy
from tests.real import CONFIG, Backend, Team, wait_for

_WORKER = "tests.label_studio.faults.worker"
_TINY = {"LSAL_MIN_STEPS": "60", "LSAL_EPOCHS": "1"}
# An ordinary model with its defaults but fewer training steps: FAULTS_BASE_MODEL=minilm make faults.
_REAL = {
    "LSAL_LEARNING_RATE": "",
    "LSAL_MAX_LENGTH": "",
    "LSAL_EPOCHS": "",
    "LSAL_MIN_STEPS": "",
    "LSAL_MAX_STEPS": "8",
}


class Pair(Backend):
    """Web server and worker, each in a process of its own, which reach Label Studio through a proxy if there is one."""

    def __init__(self, server: LabelStudioServer, folder: Path, base_model: Path, **environment: str) -> None:
        super().__init__(server, folder, base_model, command="web", **environment)
        self.worker: Program | subprocess.Popen[bytes] | None = None

    def start_worker(self) -> None:
        self.worker = self.another_worker()

    def another_worker(self, *through: str, **environment: str) -> Program | subprocess.Popen[bytes]:
        """One that is the caller's to stop. through: a command that starts it."""
        if not through:
            return started(_WORKER, [], {**self.environment, **environment}, self.folder / "log.txt")
        with (self.folder / "log.txt").open("ab") as log:
            return subprocess.Popen(
                [*through, sys.executable, "-m", _WORKER],
                env={**self.environment, **environment}, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def start(self) -> None:
        super().start()
        self.start_worker()

    def kill_worker(self) -> None:
        assert self.worker is not None
        with contextlib.suppress(ProcessLookupError):  # it died by itself
            os.killpg(self.worker.pid, signal.SIGKILL)
        self.worker.wait()

    def kill_web(self) -> None:
        Backend.kill(self)

    def start_web(self) -> None:
        Backend.start(self)

    def kill(self) -> None:
        self.kill_worker()
        self.kill_web()

    def keep_alive(self, until: Callable[[], Any], patience: float = 600.0) -> int:
        """Start the worker again whenever it died, until something is so; how often it had to be."""
        deadline, restarts = time.monotonic() + patience, 0
        while not until():
            assert time.monotonic() < deadline, f"waited {patience:.0f} s in vain\n{self.log()[-5000:]}"
            assert self.worker is not None
            if self.worker.poll() is not None:
                assert self.worker.returncode == -signal.SIGKILL, self.log()[-5000:]
                self.start_worker()
                restarts += 1
            time.sleep(0.1)
        return restarts


@pytest.fixture
def start(
    label_studio: LabelStudioServer, annotators: list[Annotator], tiny_encoder: Path, tmp_path: Path
) -> Iterator[Callable[..., Team]]:
    """Starts a pair of processes with a connected project whose first queue is out.

    texts: default: `count` short sentences. patience: seconds for the first round.
    """
    with ExitStack() as stack:

        def make(
            *, count: int = 60, texts: Sequence[str] = (), config: str = CONFIG, through_proxy: bool = False,
            patience: float = 300.0, **environment: str,
        ) -> Team:  # fmt: skip
            from tests.conftest import labeled_sentences

            model = os.environ.get("FAULTS_BASE_MODEL")
            steps = {**_REAL, "LSAL_BASE_MODEL": model} if model else _TINY
            pair = Pair(
                label_studio, tmp_path / f"backend-{len(list(tmp_path.iterdir()))}", tiny_encoder,
                **{**steps, "SYNC_INTERVAL": "3", **environment},
            )  # fmt: skip
            team = Team(label_studio, pair, annotators)
            stack.callback(team.http.close)
            if through_proxy:
                team.proxy = stack.enter_context(FaultyProxy(label_studio.url))  # type: ignore[attr-defined]
                pair.environment["LABEL_STUDIO_URL"] = team.proxy.url  # type: ignore[attr-defined]
            pair.start()
            stack.callback(pair.kill)
            team.create(texts or [text for text, _ in labeled_sentences(count)], config)
            team.connect()
            team.wait_for_round(1, patience)
            return team

        yield make


def differences(team: Team) -> str:
    """What the store and Label Studio do not agree on."""
    client = Client(team.server.url, team.server.owner.token)
    context = Context(store=team.backend.store, client=client, models=BaseModels(), bar=None)  # type: ignore[arg-type]
    return reconcile(context.open(team.id))


def plan(team: Team, *lines: str) -> Path:
    """Tell the next worker where to be killed."""
    folder = team.backend.folder / "faults"
    folder.mkdir(exist_ok=True)
    (folder / "plan").write_text("\n".join(lines))
    (folder / "struck").unlink(missing_ok=True)
    team.backend.environment["FAULTS"] = str(folder)
    return folder


def known_labels(team: Team) -> dict[int, str]:
    """What the store holds of what people said."""
    both = [team.backend.store.of(team.id).tasks.labeled(audit=audit) for audit in (False, True)]
    return {example.id: example.values["topic"] for part in both for example in part}


def check_nothing_twice_nothing_lost(team: Team, labels: dict[int, str]) -> None:
    """One queue is in force and complete, no other of ours is left, and the labels are those that people gave."""
    project = team.backend.store.projects.get(team.id)
    assert project is not None
    version = f"p{team.id}-a{project.adapter}-q{project.queue}"
    assert team.project()["model_version"] == version
    versions = team.call("GET", f"/api/projects/{team.id}/model-versions/")
    assert versions == {version: len(team.published())}
    tasks = [prediction["task"] for prediction in team.predictions(version)]
    assert sorted(tasks) == sorted(item.task_id for item in team.published()), "a task has two predictions, or none"
    assert known_labels(team) == labels
    assert wait_for("store and Label Studio to agree", lambda: not differences(team))


def label(team: Team, count: int) -> dict[int, str]:
    """Label what is served; what was said of which task."""
    served = team.label_batch(count)
    texts = {task.id: task.text for task in team.backend.store.of(team.id).tasks.every()}
    from tests.real import truth

    return {task_id: truth(texts[task_id]) for task_id in served}

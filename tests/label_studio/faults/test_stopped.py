"""Told to stop, or a child that died: requests finish, training is taken up again, serving lives on."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from backend.demo.label_studio import LabelStudioServer
from tests.label_studio.faults.conftest import check_nothing_twice_nothing_lost, label, plan
from tests.real import AUTH, BATCH, Backend, Team, wait_for
from tests.servers import free_port


@pytest.mark.faults
def test_requests_in_flight_finish_and_training_is_taken_up_again(start: Callable[..., Team]) -> None:
    team = start()
    pair: Any = team.backend
    labels = label(team, BATCH)
    team.wait_for_round(2)

    answers: list[httpx.Response] = []
    body = {"project": team.id, "tasks": [{"data": {"text": f"an apple and a saw {n}"}} for n in range(10_000)]}
    asking = threading.Thread(
        target=lambda: answers.append(httpx.post(f"{pair.url}/predict", json=body, auth=AUTH, timeout=300))
    )
    asking.start()
    time.sleep(0.7)
    assert answers == [], "it was answered before it could be interrupted"
    began = time.monotonic()
    pair.process.terminate()
    assert pair.process.wait(40) == 0
    asking.join(1.0)
    assert [answer.status_code for answer in answers] == [200], f"after {time.monotonic() - began:.1f} s"
    assert len(answers[0].json()["results"]) == 10_000
    pair.start_web()

    pair.kill_worker()
    pair.environment |= {"LSAL_MIN_STEPS": "20000", "LSAL_MAX_STEPS": "20000"}
    pair.start_worker()
    trainings = pair.log().count("training on")
    labels |= label(team, BATCH)
    wait_for("the training to be under way", lambda: pair.log().count("training on") > trainings)
    began = time.monotonic()
    pair.worker.terminate()
    assert pair.worker.wait(15) == 0
    stopped = pair.store.of(team.id).rounds.get(3)
    assert (stopped.state, stopped.tries, stopped.error) == ("running", {}, None), "a stop in good order is no failure"
    pair.environment |= {"LSAL_MIN_STEPS": "60", "LSAL_MAX_STEPS": "60"}
    pair.start_worker()
    team.wait_for_round(3)
    check_nothing_twice_nothing_lost(team, labels)


@pytest.mark.faults
def test_a_computation_that_hangs_is_ended_and_done_again(start: Callable[..., Team]) -> None:
    team = start()
    pair: Any = team.backend
    plan(team, "hang in train")
    pair.kill_worker()
    pair.environment["MAX_STALL_MINUTES"] = "0.2"
    pair.start_worker()
    labels = label(team, BATCH)
    assert pair.worker.wait(300) == 1
    assert "the step 'train' made no progress for 0 minutes (MAX_STALL_MINUTES); the worker ends" in pair.log()
    del pair.environment["MAX_STALL_MINUTES"]
    pair.start_worker()
    team.wait_for_round(2)
    check_nothing_twice_nothing_lost(team, labels)


@pytest.fixture(scope="module")
def served(
    label_studio: LabelStudioServer, tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Backend]:
    """`lsal serve`."""
    backend = Backend(label_studio, tmp_path_factory.mktemp("served"), tiny_encoder)
    backend.start()
    yield backend
    backend.kill()


def child(backend: Backend, name: str) -> Any:
    assert backend.process is not None
    for each in psutil.Process(backend.process.pid).children():
        with contextlib.suppress(psutil.Error):  # it died meanwhile
            if each.name() == f"lsal {name}":
                return each
    return None


def refusal(backend: Backend, code: int, **environment: str) -> str:
    """What a second `lsal serve` says when it refuses to start."""
    ran = subprocess.run(
        [sys.executable, "-m", "backend", "serve"], timeout=300, capture_output=True, text=True,
        env={**backend.environment, "PORT": str(free_port()), **environment},
    )  # fmt: skip
    assert ran.returncode == code
    assert "Traceback" not in ran.stderr
    return ran.stderr


@pytest.mark.faults
def test_a_second_worker_and_a_folder_that_cannot_be_written_are_refused(served: Backend, tmp_path: Path) -> None:
    assert f"another worker runs on {served.folder}; stop it first" in refusal(served, 78)
    assert httpx.get(f"{served.url}/health", timeout=300).status_code == 200
    (tmp_path / "file").write_text("x")
    assert "cannot be written to" in refusal(served, 1, MODEL_DIR=str(tmp_path / "file" / "folder"))


@pytest.mark.faults
def test_children_end_with_a_parent_that_was_killed(
    label_studio: LabelStudioServer, tiny_encoder: Path, tmp_path: Path
) -> None:
    """Else an orphaned worker would keep the next from starting."""
    backend = Backend(label_studio, tmp_path / "backend", tiny_encoder)
    backend.start()
    wait_for("a worker", lambda: "waits for events" in backend.log())
    assert backend.process is not None
    children = psutil.Process(backend.process.pid).children(recursive=True)
    backend.process.kill()
    wait_for("them to end", lambda: not any(each.is_running() for each in children))
    backend.start()
    backend.kill()


@pytest.mark.faults
def test_a_child_that_was_killed_is_started_again_and_ctrl_c_stops_both(served: Backend) -> None:
    def ready() -> bool:
        with contextlib.suppress(httpx.HTTPError):  # the web server starts
            return httpx.get(f"{served.url}/ready", auth=AUTH, timeout=300).status_code == 200
        return False

    wait_for("all to be well", ready)
    web, worker = child(served, "web"), child(served, "worker")
    worker.kill()
    assert httpx.get(f"{served.url}/health", timeout=300).status_code == 200
    wait_for("another worker", lambda: (c := child(served, "worker")) is not None and c.pid != worker.pid)
    assert child(served, "web").pid == web.pid
    assert "the worker ended with code -9 and restarts in 1 s" in served.log()
    web.kill()
    wait_for("another web server", lambda: (c := child(served, "web")) is not None and c.pid != web.pid)
    wait_for("all to be well", ready)
    assert served.process is not None
    os.killpg(served.process.pid, signal.SIGINT)
    assert served.process.wait(300) == 0

"""Two web servers and two workers on one PostgreSQL: a worker that is killed or frozen is taken over from, once."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import httpx
import pytest

from tests.label_studio.faults.conftest import check_nothing_twice_nothing_lost, label, plan
from tests.label_studio.faults.test_killed import done
from tests.postgresql import server
from tests.real import AUTH, BATCH, Backend, Team, wait_for


def stop(worker: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()


@pytest.fixture
def two(start: Callable[..., Team], new_database: Callable[[], str]) -> Iterator[tuple[Team, Callable[..., Any]]]:
    """A project with its first queue, and two workers, one and two, of which the first to reach a fault meets it."""
    with ExitStack() as stack:
        # Which are on one machine here; to the database they are two.
        team = start(DATABASE_URL=new_database(), EXECUTOR_ID="first")
        pair: Any = team.backend
        pair.kill_worker()

        def workers(*lines: str) -> tuple[Any, list[subprocess.Popen[bytes]]]:
            folder = plan(team, *lines)
            both = [pair.another_worker(EXECUTOR_ID=name) for name in ("one", "two")]
            for worker in both:
                stack.callback(stop, worker)
            wait_for("both workers", lambda: {"one", "two"} <= set(pair.store.workers.alive(within=30.0)))
            return folder, both

        yield team, workers


def struck(folder: Any) -> int:
    """Wait for the fault; the process that met it."""
    file = folder / "struck"
    line: str = wait_for("the fault", lambda: file.read_text().strip() if file.exists() else None)
    return int(line.split()[-1])


def test_a_killed_workers_round_is_taken_over(two: Any) -> None:
    team, workers = two
    folder, _ = workers("in train")
    labels = label(team, BATCH)
    struck(folder)
    since = time.monotonic()
    wait_for("the other worker to take over", lambda: "is taken over from worker" in team.backend.log())
    took = time.monotonic() - since
    wait_for("the round to end", done(team, 2))
    print(f"\ntaken over after {took:.0f} s")
    check_nothing_twice_nothing_lost(team, labels)
    finished = team.backend.store.of(team.id).rounds.get(2)
    assert finished is not None
    assert (finished.adapter, finished.queue, finished.labels) == (1, 2, BATCH)


@pytest.mark.faults
@pytest.mark.parametrize("where", ["in train", "before switch", "in write"])
def test_a_frozen_worker_that_wakes_up_writes_nothing_more(two: Any, where: str) -> None:
    team, workers = two
    folder, both = workers(f"freeze {where}")
    labels = label(team, BATCH)
    sleeper = struck(folder)
    wait_for("the round to end", done(team, 2))
    before = team.backend.store.projects.get(team.id)
    os.kill(sleeper, signal.SIGCONT)
    wait_for("both workers again", lambda: {"one", "two"} <= set(team.backend.store.workers.alive(within=15.0)))
    if where != "in write":  # there the server has ended the transaction with which it would have seen it
        heard = "another worker has taken this round over"
        wait_for("the sleeper to see", lambda: heard in team.backend.log())  # after lost connections
    time.sleep(2.0)
    after = team.backend.store.projects.get(team.id)
    assert (after.adapter, after.queue, after.round) == (before.adapter, before.queue, before.round) == (1, 2, 2)
    check_nothing_twice_nothing_lost(team, labels)
    assert all(worker.poll() is None for worker in both)
    labels |= label(team, BATCH)  # both are of use again
    team.wait_for_round(3)
    check_nothing_twice_nothing_lost(team, labels)


@contextmanager
def network(number: int) -> Iterator[tuple[str, str]]:
    """A network of its own, joined to this one by a cable: its name, and our address as seen from there."""
    assert os.geteuid() == 0, "networks are made by root only: run this test as root"
    name, here, there, net = f"lsal-{number}", f"lsal-h{number}", f"lsal-n{number}", f"10.83.{number}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        for line in (
            f"link add {here} type veth peer name {there} netns {name}",
            f"addr add {net}.1/24 dev {here}",
            f"link set {here} up",
            f"-n {name} addr add {net}.2/24 dev {there}",
            f"-n {name} link set {there} up",
            f"-n {name} link set lo up",
        ):
            subprocess.run(["ip", *line.split()], check=True)
        yield name, f"{net}.1"
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


def plug(number: int, state: str) -> None:
    subprocess.run(["ip", "link", "set", f"lsal-h{number}", state], check=True)


@pytest.mark.faults
def test_a_worker_cut_off_from_the_network_is_taken_over_from(start: Callable[..., Team]) -> None:
    """Two workers in two networks. The one that trains loses its cable, goes on alone, and gets it back too late."""
    with ExitStack() as stack:
        postgresql = stack.enter_context(server(hosts="0.0.0.0"))
        team = start(DATABASE_URL=postgresql.create("lsal"), EXECUTOR_ID="first")
        pair: Any = team.backend
        pair.kill_worker()
        folder = plan(team, "freeze in train")
        workers = {}
        for number in (1, 2):
            name, host = stack.enter_context(network(number))
            worker = pair.another_worker(
                "ip", "netns", "exec", name, EXECUTOR_ID=f"worker-{number}", DATABASE_URL=postgresql.url("lsal", host),
                LABEL_STUDIO_URL=f"http://{host}:{httpx.URL(team.server.url).port}",
            )  # fmt: skip
            stack.callback(stop, worker)
            workers[worker.pid] = number
        wait_for("both workers", lambda: {"worker-1", "worker-2"} <= set(pair.store.workers.alive(within=30.0)))
        labels = label(team, BATCH)
        sleeper = struck(folder)
        plug(workers[sleeper], "down")
        os.kill(sleeper, signal.SIGCONT)
        wait_for("the round to end", done(team, 2))
        before = pair.store.projects.get(team.id)
        assert pair.store.workers.alive(within=30.0).keys() == {f"worker-{3 - workers[sleeper]}"}
        time.sleep(10.0)
        plug(workers[sleeper], "up")
        wait_for("it to be back", lambda: len(pair.store.workers.alive(within=30.0)) == 2)
        time.sleep(5.0)
        after = pair.store.projects.get(team.id)
        assert (after.adapter, after.queue, after.round) == (before.adapter, before.queue, before.round) == (1, 2, 2)
        check_nothing_twice_nothing_lost(team, labels)
        labels |= label(team, BATCH)
        team.wait_for_round(3)
        check_nothing_twice_nothing_lost(team, labels)


@pytest.mark.faults
def test_two_web_servers_answer_alike(two: Any) -> None:
    team, workers = two
    workers()
    pair = team.backend
    other = Backend(team.server, pair.folder, pair.environment["LSAL_BASE_MODEL"], command="web",
                    DATABASE_URL=pair.environment["DATABASE_URL"])  # fmt: skip
    other.start()
    try:
        label(team, BATCH)
        team.wait_for_round(2)
        task = {"id": 1, "data": {"text": "an apple and a pear"}}
        body = {"tasks": [task], "project": f"{team.id}.0", "label_config": team.project()["label_config"]}
        answers = [
            httpx.post(f"{each.url}/predict", json=body, auth=AUTH, timeout=300).json() for each in (pair, other)
        ]
        assert answers[0] == answers[1]
        assert answers[0]["results"][0]["model_version"] == f"p{team.id}-a1"
    finally:
        assert other.stop() == 0


@pytest.mark.faults
def test_names_of_workers_are_theirs_alone(start: Callable[..., Team], new_database: Callable[[], str]) -> None:
    pair: Any = start(DATABASE_URL=new_database(), EXECUTOR_ID="one").backend
    assert pair.another_worker(EXECUTOR_ID="one").wait(300) == 78
    assert "as one; stop it first, or give this one another EXECUTOR_ID" in pair.log()

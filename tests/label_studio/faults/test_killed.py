"""`kill -9` in every step and around every call: the round is finished, and each effect is there once."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.label_studio.faults.conftest import check_nothing_twice_nothing_lost, known_labels, label, plan
from tests.label_studio.faults.worker import STEPS
from tests.real import BATCH, Team, wait_for


def done(team: Team, number: int) -> Callable[[], Any]:
    def look() -> Any:
        found = team.backend.store.of(team.id).rounds.get(number)
        return found is not None and found.state == "done" and not team.backend.store.events.count()

    return look


def restart(team: Team) -> None:
    team.backend.kill_worker()  # type: ignore[attr-defined]
    team.backend.start_worker()  # type: ignore[attr-defined]


def kill_at(team: Team, *lines: str) -> None:
    """Label a batch and let the worker be killed at each of these points of the round that follows."""
    folder = plan(team, *lines)
    restart(team)
    labels = label(team, BATCH)
    restarts = team.backend.keep_alive(lambda: done(team, 2)() and not (folder / "plan").read_text())  # type: ignore[attr-defined]
    assert restarts == len(lines)
    finished = team.backend.store.of(team.id).rounds.get(2)
    assert finished is not None
    adapter = 1 + lines.count("before adapter")  # no number is used twice
    assert (finished.adapter, finished.queue, finished.labels) == (adapter, 2, BATCH), "a step's effect is there twice"
    check_nothing_twice_nothing_lost(team, labels)


def test_killed_where_it_hurts_while_the_clock_jumps_back(start: Callable[..., Team]) -> None:
    team = start(CLOCK_JUMPS="1")
    kill_at(team, "in train", "before adapter", "after serve", "after publish")


@pytest.mark.faults
def test_killed_before_and_after_each_step(start: Callable[..., Team]) -> None:
    kill_at(start(), *(f"{when} {step}" for step in STEPS[3:] for when in ("before", "after")))


@pytest.mark.faults
def test_killed_before_and_after_the_steps_that_look(start: Callable[..., Team]) -> None:
    team = start()
    lines = [f"{when} {step}" for step in STEPS[:3] for when in ("before", "after")]
    folder = plan(team, *lines)
    restart(team)
    labels = label(team, BATCH)
    team.backend.keep_alive(lambda: done(team, 2)() and (folder / "plan").read_text() == "")  # type: ignore[attr-defined]
    check_nothing_twice_nothing_lost(team, labels)


@pytest.mark.faults
def test_killed_before_and_after_each_call_to_label_studio(start: Callable[..., Team]) -> None:
    team = start()
    folder = plan(team, "calls")
    restart(team)
    labels = label(team, BATCH)
    team.backend.keep_alive(done(team, 2))  # type: ignore[attr-defined]
    struck = (folder / "struck").read_text().splitlines()
    assert len(struck) >= 14, struck
    for part in ("import/predictions", "model-versions", "PATCH /api/projects/N/", "GET /api/tasks/"):
        assert sum(part in each for each in struck) >= 2, part
    check_nothing_twice_nothing_lost(team, labels)
    print(f"\n{len(struck)} kills around {len(struck) // 2} different calls")


@pytest.mark.faults
def test_killed_at_random_over_twenty_rounds(start: Callable[..., Team]) -> None:
    """Worker, web server, or both; the machine's clock is no part of it, kills come by a seed."""
    team = start(count=300)
    rng, labels, kills, sent = random.Random(0), {}, 0, 0
    pair: Any = team.backend
    for number in range(2, 22):
        while len(labels) < BATCH * (number - 1):
            labels |= label(team, 1)
            sent += 1
            if rng.random() < 0.15:
                pair.kill_web()
                pair.start_web()
                kills += 1
        for _ in range(rng.randint(1, 2)):
            time.sleep(rng.uniform(0.0, 6.0))
            what = rng.choice(["worker", "worker", "both"])
            if what == "both":
                pair.kill_web()
            pair.kill_worker()
            kills += 1
            pair.start_worker()
            if what == "both":
                pair.start_web()
        pair.keep_alive(lambda n=number: (r := pair.store.of(team.id).rounds.get(n)) is not None and r.state == "done")
    pair.keep_alive(lambda: pair.store.of(team.id).tasks.count_labeled() == len(labels))
    check_nothing_twice_nothing_lost(team, labels)
    assert not [r for r in pair.store.of(team.id).rounds.all() if r.state == "failed"]
    print(f"\n{kills} kills in 20 rounds, {sent} annotations, none lost, none twice")


@pytest.mark.faults
def test_lost_state_takes_no_number_twice(start: Callable[..., Team]) -> None:
    team = start()
    pair: Any = team.backend
    labels = label(team, BATCH)
    team.wait_for_round(2)
    assert team.project()["model_version"] == f"p{team.id}-a1-q2"
    pair.kill()
    shutil.rmtree(pair.folder)
    pair.start()
    team.call("GET", f"/api/ml/?project={team.id}")  # the Model page was opened: Label Studio calls /setup
    done_again = team.wait_for_round(1)
    assert (done_again.adapter, done_again.queue, done_again.labels) == (2, 3, BATCH)
    assert team.project()["model_version"] == f"p{team.id}-a2-q3"
    task = team.annotators[0].next_task(team.id)
    assert task is not None
    assert task["id"] == team.published()[0].task_id
    check_nothing_twice_nothing_lost(team, labels)


@pytest.mark.faults
def test_a_folder_that_was_moved_goes_on_elsewhere(start: Callable[..., Team]) -> None:
    team = start()
    pair: Any = team.backend
    labels = label(team, BATCH)
    team.wait_for_round(2)
    pair.kill()
    moved = pair.folder.with_name("moved")
    pair.folder.rename(moved)
    pair.folder, pair.environment["MODEL_DIR"] = moved, str(moved)
    pair.start()
    labels |= label(team, BATCH)
    finished = team.wait_for_round(3)
    assert (finished.adapter, finished.queue) == (2, 3)
    check_nothing_twice_nothing_lost(team, labels)


@pytest.mark.faults
def test_a_database_that_lost_its_last_commits_follows_label_studio(start: Callable[..., Team]) -> None:
    """As after a power cut with a disk that lies, or a file that was put back: the records of workflows are newer."""
    team = start()
    pair: Any = team.backend
    lost = pair.folder.with_name("lost")
    lost.mkdir()
    for file in pair.folder.glob("state.sqlite3*"):
        shutil.copy2(file, lost)
    labels = label(team, BATCH)
    team.wait_for_round(2)
    pair.kill()
    for file in pair.folder.glob("state.sqlite3*"):
        file.unlink()
    for file in lost.iterdir():
        shutil.copy2(file, pair.folder)
    labels |= label(team, 3)  # of the queue in force, meanwhile
    pair.start()
    wait_for("all labels", lambda: known_labels(team) == labels)
    team.wait_for_round(2)
    check_nothing_twice_nothing_lost(team, labels)
    served = [
        prediction["task"] for prediction in sorted(team.predictions(team.project()["model_version"]), key=by_score)
    ]
    assert served == [item.task_id for item in team.published()], "Label Studio serves the order that was chosen"


def by_score(prediction: dict[str, Any]) -> float:
    return float(prediction["score"])

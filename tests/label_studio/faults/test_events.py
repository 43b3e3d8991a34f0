"""Events lost, twice, late, out of order and by the thousand; deleted things; two projects and two callers at once."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from itertools import pairwise
from typing import Any

import httpx
import pytest

from backend.store.sql.models import Round
from tests.conftest import CLASSES, labeled_sentences
from tests.label_studio.faults.conftest import (
    check_nothing_twice_nothing_lost,
    differences,
    known_labels,
    label,
)
from tests.real import AUTH, BATCH, Team, wait_for


def annotation(name: str) -> dict[str, Any]:
    return {"result": [{"from_name": "topic", "to_name": "text", "type": "choices", "value": {"choices": [name]}}]}


def send(team: Team, events: Sequence[dict[str, Any]], seconds: float = 0.0) -> list[float]:
    """Post events as Label Studio does, a connection each, evenly over some seconds; how long each took after its time.

    Infinite where Label Studio would have given up.
    """
    start = time.monotonic()
    secret = str(team.backend.store.projects.get(team.id).webhook_secret)  # type: ignore[union-attr]
    headers = {"Content-Type": "application/json", "X-Webhook-Secret": secret}

    def post(number: int) -> float:
        due = start + seconds * number / len(events)
        time.sleep(max(0.0, due - time.monotonic()))
        connection = HTTPConnection("localhost", team.backend.port, timeout=1.0)
        try:
            connection.request("POST", "/webhook", json.dumps(events[number]), headers)
            assert connection.getresponse().status in (200, 201)
        except TimeoutError:
            return float("inf")
        finally:
            connection.close()
        return time.monotonic() - max(due, start)

    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(post, range(len(events))))


def quiet(team: Team) -> bool:
    """No event waits and no round runs."""
    rounds = team.backend.store.of(team.id).rounds.all()
    return not team.backend.store.events.count() and all(r.state != "running" for r in rounds)


def settle(team: Team) -> list[Round]:
    """Wait until the store holds what Label Studio does and nothing happens any more; all rounds."""
    for _ in range(2):
        wait_for("quiet", lambda: quiet(team) and not differences(team))
        time.sleep(4.0)
    wait_for("quiet", lambda: quiet(team))
    return team.backend.store.of(team.id).rounds.all()


def import_labeled(team: Team, count: int, seed: int) -> None:
    """A bulk import of tasks that are labeled already."""
    tasks = [{"data": {"text": f"{text} {n}"}, "annotations": [annotation(name)]}
             for n, (text, name) in enumerate(labeled_sentences(count, seed))]  # fmt: skip
    for first in range(0, count, 1000):
        team.call("POST", f"/api/projects/{team.id}/import", tasks[first : first + 1000])


def reconcile_finds_what_differs_and_the_next_look_mends_it(team: Team, labels: dict[int, str]) -> None:
    team.backend.kill_worker()  # type: ignore[attr-defined] # which would mend it before it is looked at
    (wrong, *_), tasks = sorted(labels), team.backend.store.of(team.id).tasks
    other = next(name for name in CLASSES if name != labels[wrong])
    tasks.put_annotations([(wrong, {"topic": other}, True, False)])
    missing = max(task.id for task in tasks.every())
    tasks.keep_only({task.id for task in tasks.every()} - {missing})
    found = team.backend.lsal("reconcile", str(team.id))
    assert (found.code, found.out.strip()) == (1, f"Project {team.id}: 1 tasks are missing here, 1 labels differ")
    team.backend.start_worker()  # type: ignore[attr-defined]
    assert wait_for("it to be mended", lambda: known_labels(team) == labels and not differences(team))


def test_events_lost_twice_late_and_out_of_order(start: Callable[..., Team]) -> None:
    team = start(count=90)
    (hook,) = team.call("GET", f"/api/webhooks/?project={team.id}")
    event = {"project": {"id": team.id}}
    labels = label(team, 2)
    team.call("PATCH", f"/api/webhooks/{hook['id']}/", {"is_active": False})
    labels |= label(team, BATCH - 2)  # these are lost
    gone = team.call("POST", f"/api/projects/{team.id}/import?return_task_ids=true", [{"text": "soon gone"}])[
        "task_ids"
    ]
    team.call("DELETE", f"/api/tasks/{gone[0]}/")
    said = {"id": 1, **annotation("tool")}
    late = [{**event, "action": "ANNOTATION_CREATED", "task": {"id": gone[0]}, "annotation": said},
            {**event, "action": "ANNOTATIONS_DELETED", "annotations": [{"id": 1}]},
            {**event, "action": "TASKS_DELETED", "tasks": [{"id": gone[0]}]},
            {**event, "action": "TASKS_CREATED", "tasks": [{"id": gone[0]}]}] * 25  # fmt: skip
    random.Random(0).shuffle(late)
    send(team, late)
    rounds = settle(team)
    assert [r.state for r in rounds] == ["done"] * len(rounds)
    assert len(rounds) <= 3, [r.reason for r in rounds]
    check_nothing_twice_nothing_lost(team, labels)
    reconcile_finds_what_differs_and_the_next_look_mends_it(team, labels)


@pytest.mark.faults
def test_a_bulk_import_makes_one_or_two_rounds(start: Callable[..., Team]) -> None:
    team = start()
    import_labeled(team, 600, seed=5)
    rounds = settle(team)
    assert team.backend.store.of(team.id).tasks.count_labeled() == 600
    assert 2 <= len(rounds) <= 3, [r.reason for r in rounds]
    assert differences(team) == ""


@pytest.mark.faults
def test_five_thousand_events_in_ten_seconds_and_twenty_thousand_annotations(start: Callable[..., Team]) -> None:
    team = start(LSAL_MAX_STEPS="100")
    import_labeled(team, 20_000, seed=5)  # in 20 calls, which may take minutes: rounds begin meanwhile
    imported = time.time()
    event = {
        "action": "ANNOTATION_CREATED",
        "project": {"id": team.id},
        "task": {"id": 1},
        "annotation": annotation("tool"),
    }
    took = sorted(send(team, [event] * 5000, seconds=10.0))
    given_up = sum(each == float("inf") for each in took)
    rounds = settle(team)
    labeled = team.backend.store.of(team.id).tasks.count_labeled()
    # On a busy machine Label Studio's SQLite loses the annotations of a call or two, which is its own truth.
    assert labeled > 15_000
    after = [r for r in rounds if r.started_at > imported]
    assert len(after) <= 2, [r.reason for r in rounds]
    assert rounds[-1].labels == labeled
    assert differences(team) == ""
    print(f"\n5000 events in 10 s: p50 {1e3 * took[2500]:.0f} ms, p99 {1e3 * took[4950]:.0f} ms, "
          f"{given_up} given up on; {len(after)} rounds after {labeled} annotations, nothing differs")  # fmt: skip


@pytest.mark.faults
def test_a_deleted_project_is_let_go_and_others_go_on(start: Callable[..., Team]) -> None:
    first = start()
    second = Team(first.server, first.backend, first.annotators)
    second.create([text for text, _ in labeled_sentences(40, seed=3)])
    second.connect()
    second.wait_for_round(1)
    first.call("DELETE", f"/api/projects/{first.id}/")
    wait_for("the project to be let go", lambda: not first.backend.store.projects.get(first.id).connected)  # type: ignore[union-attr]
    said = f"project {first.id} was deleted in Label Studio"
    labels = label(second, BATCH)
    second.wait_for_round(2)
    check_nothing_twice_nothing_lost(second, labels)
    assert first.backend.log().count(said) == 1
    second.http.close()


@pytest.mark.faults
def test_two_projects_at_once_and_many_callers_never_two_rounds_of_one(start: Callable[..., Team]) -> None:
    teams = [start()]
    teams.append(Team(teams[0].server, teams[0].backend, teams[0].annotators))
    teams[1].create([text for text, _ in labeled_sentences(60, seed=4)])
    teams[1].connect()
    teams[1].wait_for_round(1)
    said = [label(team, BATCH) for team in teams]
    commands = [[sys.executable, "-m", "backend", "round", str(team.id)] for team in teams for _ in range(3)]
    asked = [
        subprocess.Popen(command, env=teams[0].backend.environment, stdout=subprocess.DEVNULL) for command in commands
    ]
    assert [each.wait(120) for each in asked] == [0] * 6
    for team, labels in zip(teams, said, strict=True):
        rounds = settle(team)
        assert all(r.state == "done" for r in rounds)
        times = [(r.started_at, r.finished_at) for r in rounds]
        assert all(former[1] <= later[0] for former, later in pairwise(times)), times
        check_nothing_twice_nothing_lost(team, labels)
    teams[1].http.close()


@pytest.mark.faults
def test_another_base_model_and_options_are_in_the_next_round(start: Callable[..., Team], tiny_albert: Any) -> None:
    team = start()
    labels = label(team, BATCH)
    team.wait_for_round(2)
    team.set_options(base_model=str(tiny_albert))
    done = team.wait_for_round(3)
    adapter = team.backend.store.of(team.id).rounds.adapter(done.adapter)
    assert adapter is not None
    assert (done.reason, adapter.number, adapter.base_model) == ("the options changed", 2, str(tiny_albert))
    task = {"data": {"text": "an apple"}}
    body = {"project": team.id, "tasks": [task]}
    answer = httpx.post(f"{team.backend.url}/predict", json=body, auth=AUTH, timeout=300).json()
    assert answer["model_version"] == f"p{team.id}-a2"
    check_nothing_twice_nothing_lost(team, labels)

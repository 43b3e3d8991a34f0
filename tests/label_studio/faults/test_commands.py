"""The commands of operators on a real installation, and what its log holds at the lowest level."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from backend.store import Store
from tests.label_studio.faults.conftest import check_nothing_twice_nothing_lost, known_labels, label
from tests.real import AUTH, BATCH, Team, wait_for


def lsal(team: Team, *words: str, code: int = 0) -> str:
    """What a command printed, both ways."""
    ran = team.backend.lsal(*words)
    assert ran.code == code, ran.err
    return " ".join((ran.out + ran.err).split())


def version_served(team: Team) -> str:
    body = {"project": team.id, "tasks": [{"data": {"text": "an apple"}}]}
    answer = httpx.post(f"{team.backend.url}/predict", json=body, auth=AUTH, timeout=300)
    return str(answer.json()["model_version"])


def rotate(team: Team) -> None:
    """Events carry the new secret, and the former is good for nothing."""
    store: Store = team.backend.store
    event = {"action": "ANNOTATION_CREATED", "project": {"id": team.id}}

    def post(secret: str) -> int:
        headers = {"X-Webhook-Secret": secret}
        return httpx.post(f"{team.backend.url}/webhook", json=event, headers=headers, timeout=10).status_code

    before = str(store.projects.get(team.id).webhook_secret)  # type: ignore[union-attr]
    assert post(before) == 201
    lsal(team, "rotate-secret", str(team.id))
    after = str(store.projects.get(team.id).webhook_secret)  # type: ignore[union-attr]
    assert (post(before), post(after)) == (401, 201)

    def headers() -> Any:
        (hook,) = team.call("GET", f"/api/webhooks/?project={team.id}")
        return hook["headers"]

    wait_for("the webhook to have it", lambda: headers() == {"X-Webhook-Secret": after})
    assert "project 4711 is not known here" in lsal(team, "rotate-secret", "4711", code=1)


@pytest.mark.faults
def test_back_and_forth(start: Callable[..., Team], tmp_path: Path) -> None:
    """Rollback, backup, restore: annotators and /predict get what the command says."""
    team = start(count=90, LOG_LEVEL="DEBUG")
    pair: Any = team.backend
    labels = label(team, BATCH)
    team.wait_for_round(2)
    rotate(team)
    archive = tmp_path / "backup.tar.gz"
    assert f"{archive} holds the state of" in lsal(team, "backup", str(archive))
    labels |= label(team, BATCH)
    team.wait_for_round(3)
    assert version_served(team) == f"p{team.id}-a2"

    assert "adapter 9 of project" in lsal(team, "rollback", str(team.id), "9", code=1)
    lsal(team, "rollback", str(team.id), "1")
    team.wait_for_round(4)
    assert version_served(team) == f"p{team.id}-a1"
    assert team.project()["model_version"] == f"p{team.id}-a1-q4"
    assert team.annotators[0].next_task(team.id)["id"] == team.published()[0].task_id  # type: ignore[index]

    assert "a worker runs on" in lsal(team, "restore", str(archive), code=1)
    pair.kill()
    assert "before-restore-" in lsal(team, "restore", str(archive))
    pair.start()
    wait_for("all labels to be read again", lambda: known_labels(team) == labels)
    labels |= label(team, BATCH)

    def trained_on_all() -> bool:
        last = pair.store.rounds.newest()[-1]
        return bool(last.labels >= 3 * BATCH and last.state == "done")

    wait_for("the next round", trained_on_all)
    project = pair.store.projects.get(team.id)
    assert project.adapter >= 3, "numbers that Label Studio has seen are not given again"
    assert project.queue >= 5
    check_nothing_twice_nothing_lost(team, labels)
    assert version_served(team) == f"p{team.id}-a{project.adapter}"
    look_through_the_log(team, pair.log())


def look_through_the_log(team: Team, log: str) -> None:
    """All that happened above was logged at DEBUG; none of it may hold a secret or a text."""
    secret = str(team.backend.store.projects.get(team.id).webhook_secret)  # type: ignore[union-attr]
    texts = [task.text for task in team.backend.store.of(team.id).tasks.every()]
    for hidden in (team.server.owner.token, AUTH[1], secret, secret.partition(".")[2], *texts):
        assert hidden not in log
    assert len(texts) == 90

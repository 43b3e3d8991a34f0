"""Between rounds: each label changes the queue and the suggestions, in a real Label Studio."""

from __future__ import annotations

import httpx

from backend.store.sql.models import Project
from tests.backend.rounds.engine.test_cancel import ENDLESS
from tests.backend.rounds.test_class_names import DESCRIPTIONS
from tests.conftest import labeled_sentences
from tests.real import AUTH, BATCH, CONFIG, Team, truth, wait_for


def test_a_label_changes_the_queue_before_the_next_round(team: Team) -> None:
    team.create([text for text, _ in labeled_sentences(80)], CONFIG)
    team.connect(class_names=True, react=True, descriptions=DESCRIPTIONS, audit_share=0.0)
    team.wait_for_round(1)
    first = [item.task_id for item in team.published()]
    served = surprise(team)
    assert served == first[0]
    found = wait_for("a head that knows the label", lambda: _with_head(team, 1, after=1))
    version = team.project()["model_version"]
    assert version == f"p{team.id}-a1-q{found.queue}"
    now = [item.task_id for item in team.published()]
    assert served not in now
    assert {each["task"] for each in team.predictions(version)} == set(now)
    following = team.annotators[0].next_task(team.id)
    assert following is not None
    assert following["id"] == now[0]
    body = {"tasks": [{"id": following["id"], "data": following["data"]}], "project": f"{team.id}.0"}
    answer = httpx.post(f"{team.backend.url}/predict", json=body, auth=AUTH, timeout=300).json()
    assert answer["model_version"] == f"p{team.id}-a1-h1"
    team.label_batch(BATCH - 1)
    assert team.wait_for_round(2).adapter == 2
    wait_for("the round's adapter without a head", lambda: _with_head(team, 0))
    queues = {each["model_version"] for each in team.call("GET", f"/api/predictions/?project={team.id}")}
    assert {name for name in queues if "-q" in name} == {team.project()["model_version"]}, "former queues are deleted"


def test_a_label_changes_the_queue_while_a_round_trains(team: Team) -> None:
    team.create([text for text, _ in labeled_sentences(80)], CONFIG)
    options = {
        "class_names": True,
        "react": True,
        "descriptions": DESCRIPTIONS,
        "audit_share": 0.0,
        "batch_size": 2 * BATCH,
    }
    team.connect(**options, **ENDLESS)
    team.wait_for_round(1)
    team.label_batch(2 * BATCH)  # fewer would need no adapter
    rounds = team.backend.store.of(team.id).rounds
    wait_for("the training", lambda: (found := rounds.get(2)) is not None and found.step == "train")
    before = team.backend.store.projects.get(team.id)
    served = surprise(team)
    found = wait_for("a head that knows the label", lambda: _with_head(team, before.head + 1, after=before.queue))
    assert rounds.get(2).state == "running"
    assert (found.adapter, found.head_labels) == (1, 2 * BATCH + 1)
    assert served not in [item.task_id for item in team.published()]
    team.set_options(**options)  # which ends the training
    wait_for("the next adapter", lambda: team.backend.store.projects.get(team.id).adapter == 2)
    assert rounds.get(2).state == "cancelled"
    assert served in team.backend.store.of(team.id).tasks.first_known(), "the next training learns it"


def surprise(team: Team) -> int:
    """Label the next task as nobody would expect, so that the order changes."""
    task = team.annotators[0].next_task(team.id)
    assert task is not None
    team.annotators[0].choose(task["id"], "tool" if truth(task["data"]["text"]) != "tool" else "animal")
    return int(task["id"])


def _with_head(team: Team, head: int, after: int = 0) -> Project | None:
    found = team.backend.store.projects.get(team.id)
    queue = int(team.project()["model_version"].rpartition("-q")[2] or 0)
    return found if found is not None and found.head == head and found.queue == queue > after else None

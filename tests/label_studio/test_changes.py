"""What people change in Label Studio between rounds is in the next one."""

from __future__ import annotations

import json

from tests.conftest import CLASSES, labeled_sentences
from tests.real import CONFIG, Team, truth, wait_for


def ask_for_round(team: Team) -> None:
    assert team.backend.lsal("round", str(team.id)).code == 0


def labels(team: Team) -> dict[int, str]:
    tasks = team.backend.store.of(team.id).tasks
    return {e.id: e.values["topic"] for audit in (False, True) for e in tasks.labeled(audit=audit)}


def test_deleted_edited_and_imported_annotations_and_a_changed_config(connected: Team) -> None:
    team = connected
    served = team.label_batch()
    team.wait_for_round(2)
    texts = {t.id: t.text for t in team.backend.store.of(team.id).tasks.every()}
    assert labels(team) == {task_id: truth(texts[task_id]) for task_id in served}

    deleted, edited = served[0], served[1]
    (annotation,) = team.call("GET", f"/api/tasks/{deleted}/annotations/")
    team.call("DELETE", f"/api/annotations/{annotation['id']}/")
    (annotation,) = team.call("GET", f"/api/tasks/{edited}/annotations/")
    annotation["result"][0]["value"]["choices"] = [next(c for c in CLASSES if c != truth(texts[edited]))]
    team.call("PATCH", f"/api/annotations/{annotation['id']}/", {"result": annotation["result"]})
    team.add_labeled([(text + " imported", name) for text, name in labeled_sentences(6, seed=9)])
    config = CONFIG.replace('<Choice value="tool"/>', '<Choice value="tool"/><Choice value="something else"/>')
    team.call("PATCH", f"/api/projects/{team.id}/", {"label_config": config})

    done = wait_for("a round that knows the new choice", lambda: _round_with(team, "something else"))
    expected = {task_id: truth(texts[task_id]) for task_id in served[2:]}
    expected[edited] = annotation["result"][0]["value"]["choices"][0]
    now = labels(team)
    texts = {t.id: t.text for t in team.backend.store.of(team.id).tasks.every()}
    imported = {task_id: label for task_id, label in now.items() if texts[task_id].endswith(" imported")}
    assert {task_id: label for task_id, label in now.items() if task_id not in imported} == expected
    assert sorted(imported.values()) == sorted(name for _, name in labeled_sentences(6, seed=9))
    adapter = team.backend.store.of(team.id).rounds.adapter(done.adapter)
    held_out = {t.id for t in team.backend.store.of(team.id).tasks.labeled(audit=True)}
    assert adapter is not None
    assert adapter.examples == len(set(now) - held_out)


def _round_with(team: Team, choice: str) -> object:
    """The last round, once it knows the choice, is done, and nothing newer is going on."""
    project = team.backend.store.projects.get(team.id)
    assert project is not None
    done = team.backend.store.of(team.id).rounds.get(project.round)
    settled = done is not None and done.state == "done" and team.id not in team.backend.store.events.newest()
    return done if settled and choice in done.targets[0]["classes"] and len(labels(team)) == 13 else None


def test_a_removed_choice_does_not_lose_the_others(connected: Team) -> None:
    team = connected
    team.label_batch()
    before = team.wait_for_round(2)
    for name in ("fruit", "animal"):  # whatever was served, enough is left to learn from
        open_ones = team.backend.store.of(team.id).tasks.waiting(audit=False)
        team.annotators[0].choose(next(task.id for task in open_ones if truth(task.text) == name), name)
    config = CONFIG.replace('<Choice value="tool"/>', "")
    # Label Studio refuses to drop a choice that annotations use, unless they are gone.
    for task_id, label in labels(team).items():
        if label == "tool":
            for annotation in team.call("GET", f"/api/tasks/{task_id}/annotations/"):
                team.call("DELETE", f"/api/annotations/{annotation['id']}/")
    team.call("PATCH", f"/api/projects/{team.id}/", {"label_config": config})

    def without_the_choice() -> bool:
        last = _last(team)
        return last.state == "done" and "tool" not in last.targets[0]["classes"]

    wait_for("a round without the choice", without_the_choice)
    adapter = team.backend.store.of(team.id).rounds.adapter(_last(team).adapter)
    assert adapter is not None
    assert adapter.targets[0]["classes"] == [name for name in CLASSES if name != "tool"]
    assert _last(team).adapter > before.adapter
    assert set(labels(team).values()) <= {"fruit", "animal"}
    assert labels(team)


def _last(team: Team):  # type: ignore[no-untyped-def]
    project = team.backend.store.projects.get(team.id)
    assert project is not None
    return team.backend.store.of(team.id).rounds.get(project.round)


def test_majority_decides_a_tie_does_not_and_deleted_tasks_are_forgotten(team: Team) -> None:
    team.create([text for text, _ in labeled_sentences(12)])
    team.connect(batch_size=50, queue_size=12)
    team.wait_for_round(1)
    tasks = team.call("GET", f"/api/tasks/?project={team.id}&page_size=20")["tasks"]
    tied, agreed, gone = tasks[0]["id"], tasks[1]["id"], tasks[2]["id"]
    team.annotators[0].choose(tied, "fruit")
    team.annotators[1].choose(tied, "tool")
    for annotator in team.annotators:
        annotator.choose(agreed, "animal")
    team.annotators[0].choose(gone, "tool")
    wait_for("the labels", lambda: len(labels(team)) == 2)
    team.call("DELETE", f"/api/tasks/{gone}/")
    wait_for("the deletion", lambda: team.backend.store.of(team.id).tasks.count() == 11)
    assert labels(team) == {agreed: "animal"}


def test_the_start_training_button_and_new_tasks_start_rounds(connected: Team) -> None:
    team = connected
    (model,) = team.call("GET", f"/api/ml/?project={team.id}")
    team.call("POST", f"/api/ml/{model['id']}/train", {})
    assert team.wait_for_round(2).reason == "Start training was pressed"
    team.add([text for text, _ in labeled_sentences(5, seed=3)])
    assert team.wait_for_round(3).reason == "new tasks"
    ask_for_round(team)
    assert team.wait_for_round(4).reason == "asked for"
    team.call("PATCH", f"/api/projects/{team.id}/", {"start_training_on_annotation_update": True})
    wait_for("the setting", lambda: team.backend.store.projects.get(team.id).trains_on_submission)
    team.label_batch(2)
    wait_for("the labels", lambda: len(labels(team)) == 2)
    wait_for("the end of the turn", lambda: team.id not in team.backend.store.events.newest())
    team.call("POST", f"/api/ml/{model['id']}/train", {})
    assert team.wait_for_round(5).reason == "Start training was pressed"
    assert _last(team).number == 5, "the two submissions started none"
    assert team.backend.store.projects.get(team.id).annotators, "their names"
    assert json.dumps(team.backend.log()).count("failed") == 0

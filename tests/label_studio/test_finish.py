"""The rest of a project is labeled by the model: a sample first, then labels here and in Label Studio, and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backend.overview.tasks.finish import FinishState, finish_state
from tests.conftest import labeled_sentences
from tests.real import Team, truth, wait_for

TEXTS = 160


def state(team: Team) -> FinishState:
    project = team.backend.store.projects.get(team.id)
    assert project is not None
    return finish_state(team.backend.store, project)


def wait_until(team: Team, name: str) -> FinishState:
    return wait_for(f"the finish to be '{name}'", lambda: found if (found := state(team))["state"] == name
                    and found["pending"] is None else None)  # fmt: skip


def annotated(team: Team) -> dict[int, list[dict[str, Any]]]:
    """The annotations of every task, as Label Studio has them."""
    tasks = team.call("GET", f"/api/tasks?project={team.id}&page_size={TEXTS}&fields=all")["tasks"]
    return {task["id"]: task["annotations"] for task in tasks}


def lsal(team: Team, *words: str) -> str:
    done = team.backend.lsal("finish", str(team.id), *words)
    assert done.code == 0, done.err
    return done.out


@pytest.fixture
def certified(team: Team) -> Team:
    """A project whose model is proven right on the rest."""
    team.create([text for text, _ in labeled_sentences(TEXTS)])
    team.connect(batch_size=16, min_steps=200, max_steps=200)
    team.wait_for_round(1)
    for number in (2, 3):
        team.label_batch(16)
        team.wait_for_round(number)
    assert "sample" not in lsal(team)
    assert "drawn as soon as" in lsal(team, "--accuracy", "0.8")
    wait_until(team, "sampling")
    return team


def test_a_sample_comes_first_and_blank_and_then_labels_are_taken_written_and_taken_back(
    certified: Team, tmp_path: Path
) -> None:
    team, store = certified, certified.backend.store.of(certified.id)
    sample = set(store.tasks.sampled())

    def first() -> bool:
        return {each.task_id for each in team.published()[: len(sample)]} == sample

    wait_for("the queue to begin with the sample", first)
    (some, *_) = sample
    wait_for("it to be blank", lambda: not any(  # the former queue may be there for a moment
        each["result"] for each in team.call("GET", f"/api/tasks/{some}/")["predictions"]))  # fmt: skip
    refused = team.backend.lsal("finish", str(team.id), "--take")
    assert refused.code == 1
    assert "'sampling'" in refused.err
    served = team.label_batch(len(sample))
    assert set(served) == sample, "people get the sample first"
    found = wait_until(team, "certified")
    assert found["decided"] is not None
    assert found["decided"]["taken"] > 40
    assert "With 95 % confidence at least 80% of the labels" in lsal(team)

    people = {task for task, of_task in annotated(team).items() if of_task}
    lsal(team, "--take")
    wait_until(team, "taken")
    given = {each.task_id: each.labels["topic"] for each in store.finishes.given()}
    assert {task for task, of_task in annotated(team).items() if of_task} == people, "nothing is written unless wanted"
    tab = wait_for("the tab of taken labels", lambda: next(
        (view["id"] for view in team.call("GET", f"/api/dm/views/?project={team.id}")
         if view["data"]["title"] == "Labels of the model"), None))  # fmt: skip
    shown = team.call("GET", f"/api/tasks?project={team.id}&view={tab}&page_size=200")["tasks"]
    assert {each["id"] for each in shown} <= given.keys()
    assert len(shown) == min(100, len(given))
    task = shown[0]["id"]
    (ours,) = [
        p for p in team.call("GET", f"/api/tasks/{task}/")["predictions"] if p["model_version"].endswith("taken")
    ]
    assert ours["result"][0]["value"]["choices"] == [given[task]]
    if store.tasks.count_open_tasks():
        assert not {each.task_id for each in team.published()} & given.keys()

    out = tmp_path / "labels.csv"
    assert team.backend.lsal("export", str(team.id), "--format", "csv", "--output", str(out)).code == 0
    assert len(out.read_text().splitlines()) == 1 + len(people) + len(given)

    (new := tmp_path / "new.csv").write_text("text\nan apple and a pear\n")
    done = team.backend.lsal("predict", str(team.id), str(new))
    assert json.loads(done.out)["labels"] == {"topic": "fruit"}, done.err

    merged = team.backend.lsal("merge", str(team.id), str(tmp_path / "merged"))
    assert merged.code == 0, merged.err
    assert (tmp_path / "merged" / "model.safetensors").exists()

    lsal(team, "--write")
    wait_until(team, "written")
    now = annotated(team)
    assert {task: now[task][0]["result"][0]["value"]["choices"][0] for task in given} == given
    labels = store.tasks.count_labeled()
    right = sum(truth(store.tasks.texts([task])[task].text) == name for task, name in given.items())
    assert right >= 0.8 * len(given)

    changed, confirmed, *others = sorted(given)

    def edit(task: int, *, wrong: bool) -> None:
        (annotation,) = now[task]
        if wrong:
            annotation["result"][0]["value"]["choices"] = ["animal" if given[task] != "animal" else "tool"]
        team.annotators[0].change(annotation["id"], annotation["result"])

    edit(changed, wrong=True)
    edit(confirmed, wrong=False)
    wait_for("people's labels to be read", lambda: store.tasks.count_labeled() == labels + 2)
    wait_for("them to be compared", lambda: state(team)["later"] == {"labels": 2, "wrong": 1})

    enough = others[: store.finishes.all()[-1].result["at_most"]]  # to break the guarantee, with the one before
    for task in enough:
        edit(task, wrong=True)
    assert wait_until(team, "withdrawn")["later"] == {"labels": 2 + len(enough), "wrong": 1 + len(enough)}
    assert "withdrawn" in lsal(team)
    assert "the guarantee is withdrawn" in team.backend.log()

    lsal(team, "--take-back")
    wait_until(team, "taken back")
    kept = people | {changed, confirmed, *enough}
    assert {task for task, of_task in annotated(team).items() if of_task} == kept, "what people gave or edited"
    assert not store.finishes.given()

"""Doubtful labels come to another annotator in a real Label Studio, and what they answer counts."""

from __future__ import annotations

from tests.conftest import CLASSES, labeled_sentences
from tests.real import Team, truth, wait_for

FLIPPED = range(4, 180, 7)


def overlap(team: Team, task: int) -> tuple[int, bool]:
    found = team.call("GET", f"/api/tasks/{task}/")
    return found["overlap"], found["is_labeled"]


def test_another_annotator_labels_doubtful_tasks_again(team: Team) -> None:
    data = labeled_sentences(230)
    team.create([text for text, _ in data])
    tasks = sorted(
        team.call("GET", f"/api/tasks?project={team.id}&page_size=300")["tasks"], key=lambda task: task["id"]
    )
    for number, task in enumerate(tasks[:180]):
        right = truth(task["data"]["text"])
        team.label(task, number % 2, CLASSES[(CLASSES.index(right) + 1) % 3] if number in FLIPPED else right)
    team.connect(relabel=True, queue_size=16, batch_size=8)
    team.wait_for_round(1)  # which compares the labels
    batch = team.label_batch()
    by = {task["id"]: number % 2 for number, task in enumerate(tasks[:180])}
    by |= {task: number % 2 for number, task in enumerate(batch)}
    team.wait_for_round(2)
    opinions = team.backend.store.of(team.id).second_opinions

    asked = opinions.waiting()
    assert asked
    assert all(wanted == 2 for wanted in asked.values())
    assert not asked.keys() & team.held_out()
    assert {overlap(team, task) for task in asked} == {(2, False)}
    version = team.project()["model_version"]
    shown = {each["task"]: each["result"] for each in team.predictions(version)}
    assert all(shown[task] == [] for task in asked), "a second opinion is not led by the model"

    # The first annotator gets those of the second, and none of their own.
    served = []
    while len(served) < 16 and (task := team.annotators[0].next_task(team.id)) is not None:
        served.append(task["id"])
        team.label(task, 0)
    again = asked.keys() & set(served)
    assert again == {task for task in asked if by[task] == 1} != set()
    wait_for("the opinions to be read", lambda: opinions.summary().given == len(again))
    wrong = {task["id"] for number, task in enumerate(tasks[:180]) if number in FLIPPED} & again
    assert opinions.summary().changed >= len(wrong) > 0

    team.wait_for_round(3)
    assert team.backend.store.projects.get(team.id).trust["topic"]  # type: ignore[union-attr]
    assert team.backend.lsal("disconnect", str(team.id)).code == 0
    assert opinions.waiting() == {}
    assert all(labeled for _, labeled in (overlap(team, task) for task in asked)), "nobody is asked any more"

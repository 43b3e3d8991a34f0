"""Labels that were turned on purpose come into a tab of the Data Manager, and leave it once they are corrected."""

from __future__ import annotations

import re

from tests.conftest import CLASSES, labeled_sentences
from tests.real import Team, truth

LABELED = 48
TURNED = (3, 17, 30)


def review(team: Team) -> tuple[str, set[int]]:
    """What the command prints, and the tasks that its tab shows."""
    done = team.backend.lsal("review", str(team.id), "--most", "10")
    assert done.code == 0, done.err
    (tab,) = re.findall(r"tab=(\d+)", done.out)
    shown = team.call("GET", f"/api/tasks?project={team.id}&view={tab}&page_size=100")
    return done.out, {task["id"] for task in shown["tasks"]}


def test_turned_labels_come_into_a_tab_and_leave_it_once_they_are_corrected(team: Team) -> None:
    team.create([text for text, _ in labeled_sentences(60)])
    tasks = team.call("GET", f"/api/tasks?project={team.id}&page_size=100")["tasks"][:LABELED]
    wrong = set()
    for number, task in enumerate(tasks):
        right = truth(task["data"]["text"])
        if number in TURNED:
            wrong.add(task["id"])
            team.label(task, 0, CLASSES[(CLASSES.index(right) + 1) % len(CLASSES)])
        else:
            team.label(task, 0)
    agreed = [task for number, task in enumerate(tasks[:6]) if number not in TURNED]
    for task in agreed:
        team.label(task, 1)
    team.connect()
    done = team.wait_for_round(1)
    told = done.review["topic"]
    assert told["agreement"]["tasks"] == len(agreed)
    assert told["agreement"]["share"] == 1.0
    said, shown = review(team)
    assert wrong & shown, said
    assert shown == {each["task"] for each in told["suspects"][:10]}
    assert shown != {task["id"] for task in tasks}
    views = team.call("GET", f"/api/dm/views/?project={team.id}")

    corrected = (wrong & shown).pop()
    annotation = team.call("GET", f"/api/tasks/{corrected}/")["annotations"][0]
    right = truth(team.call("GET", f"/api/tasks/{corrected}/")["data"]["text"])
    annotation["result"][0]["value"]["choices"] = [right]
    team.call("PATCH", f"/api/annotations/{annotation['id']}/", {"result": annotation["result"]})
    assert team.backend.lsal("round", str(team.id)).code == 0
    team.wait_for_round(2)
    _, shown = review(team)
    assert corrected not in shown
    assert len(team.call("GET", f"/api/dm/views/?project={team.id}")) == len(views), "the same tab"

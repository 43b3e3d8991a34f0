"""Labels that were turned on purpose come into a tab of the Data Manager, and leave it once they are corrected."""

from __future__ import annotations

import re

from tests.conftest import CLASSES, labeled_sentences
from tests.real import Team, truth

TURNED = range(7, 240, 20)


def review(team: Team) -> tuple[str, set[int]]:
    """What the command prints, and the tasks that its tab shows."""
    done = team.backend.lsal("review", str(team.id), "--most", "10")
    assert done.code == 0, done.err
    (tab,) = re.findall(r"tab=(\d+)", done.out)
    shown = team.call("GET", f"/api/tasks?project={team.id}&view={tab}&page_size=100")
    return done.out, {task["id"] for task in shown["tasks"]}


def test_turned_labels_come_into_a_tab_and_leave_it_once_they_are_corrected(team: Team) -> None:
    given = [(text, CLASSES[(CLASSES.index(name) + (number in TURNED)) % len(CLASSES)], number in TURNED)
             for number, (text, name) in enumerate(labeled_sentences(240))]  # fmt: skip
    team.create(["an apple"])
    team.add_labeled([(text, name) for text, name, _ in given])
    tasks = team.call("GET", f"/api/tasks?project={team.id}&page_size=300")["tasks"]
    turned_texts = {text for text, _, turned in given if turned}
    wrong = {task["id"] for task in tasks if task["data"]["text"] in turned_texts}
    agreed = [task for task in tasks if task["id"] not in wrong][1:7]
    for task in agreed:
        team.label(task, 1)
    team.connect(epochs=3)
    done = team.wait_for_round(1)
    told = done.review["topic"]
    assert told["agreement"]["tasks"] == len(agreed)
    assert told["agreement"]["share"] == 1.0
    said, shown = review(team)
    assert len(wrong & shown) >= 0.8 * len(shown) > 0, said
    errors = told["errors"]
    assert errors["low"] <= len(TURNED) <= errors["high"]
    assert shown == {each["task"] for each in told["suspects"][:10]}
    assert shown != {task["id"] for task in tasks}
    for each in [each for each in told["suspects"][:10] if each["task"] not in team.held_out()]:
        (instead,) = [p for p in team.call("GET", f"/api/tasks/{each['task']}/")["predictions"]
                      if p["model_version"] == f"p{team.id}-check"]  # fmt: skip
        assert instead["result"][0]["value"]["choices"] == [each["instead"]]
    views = team.call("GET", f"/api/dm/views/?project={team.id}")
    assert [view["data"]["title"] for view in views] == ["Default", "Labels to check"], "all tasks keep a tab"

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

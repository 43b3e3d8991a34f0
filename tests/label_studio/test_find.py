"""Tasks that people look for come into a tab, and to the next annotator."""

from __future__ import annotations

import re

from tests.real import Team, wait_for


def lsal(team: Team, *words: str) -> str:
    done = team.backend.lsal(*words)
    assert done.code == 0, done.err
    return done.out


def test_found_tasks_are_shown_in_a_tab_and_served_first(connected: Team) -> None:
    team, number = connected, str(connected.id)
    out = lsal(team, "find", number, "--text", "an apple and a pear", "--most", "5", "--tab", "--first")
    found = team.backend.store.of(team.id).tasks.first()
    assert len(found) == 5
    (tab,) = re.findall(r"tab=(\d+)", out)
    shown = team.call("GET", f"/api/tasks?project={team.id}&view={tab}&page_size=100")
    assert {task["id"] for task in shown["tasks"]} == set(found)
    wait_for("the queue to begin with them", lambda: [each.task_id for each in team.published()[:5]] == found)
    assert team.label_batch(2) == found[:2], "as annotators get them"
    assert str(found[2]) in lsal(team, "first", number)

    lsal(team, "first", number, "--none")
    wait_for("the strategy to order all", lambda: not any(each.chosen_by for each in team.published()))
    assert "No task was put first" in lsal(team, "first", number)
    assert "nearly repeat an earlier one" in lsal(team, "duplicates", number, "--similarity", "0.8", "--tab")
    titles = [view["data"]["title"] for view in team.call("GET", f"/api/dm/views/?project={team.id}")]
    assert titles == ["Default", "Found", "Near-duplicates"]
    done = team.backend.lsal("find", number, "--class", "planet")
    assert done.code == 1
    assert "no model yet" in done.err

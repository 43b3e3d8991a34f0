"""A budget in *Extra params*: when it is spent, the log, the JSON and the team's chat say so, and the queue stays."""

from __future__ import annotations

import httpx

from tests.conftest import labeled_sentences
from tests.real import AUTH, BATCH, Team, wait_for
from tests.servers import Chat


def test_a_spent_budget_is_told_everywhere_and_the_queue_stays(team: Team, chat: Chat) -> None:
    team.create([text for text, _ in labeled_sentences(60)])
    team.connect(budget=BATCH + 2)
    team.wait_for_round(1)
    team.label_batch(BATCH)
    team.wait_for_round(2)
    assert not any(f"project {team.id}:" in each["text"] for each in chat.came)
    team.label_batch(2)
    last = team.wait_for_round(3)
    assert last.reason == f"the budget of {BATCH + 2} labels is spent ({BATCH + 2})"

    def told() -> list[str]:
        return [each["text"] for each in chat.came if f"project {team.id}:" in each["text"]]

    wait_for("the chat to be told", told)
    said = f"labeling may stop after {BATCH + 2} labels, {last.reason}. {team.server.url}/projects/{team.id}"
    assert told() == [f"Label Studio project {team.id}: {said}"]
    state = httpx.get(f"{team.backend.url}/api/projects/{team.id}", auth=AUTH).json()
    assert (state["stopped"]["why"], state["stopped"]["round"]) == (last.reason, 3)
    assert state["stopping"]["hours"] > 0, "Label Studio tells how long each annotation took"
    assert f"project {team.id}: labeling may stop, the budget" in team.backend.log()
    assert chat.url not in team.backend.log()
    assert team.project()["model_version"] == f"p{team.id}-a2-q3"
    said_by = team.backend.store.of(team.id).annotations.all()
    assert len(said_by) == BATCH + 2
    assert len({each.annotator for each in said_by}) == 2
    assert all(each.labels.keys() == {"topic"} and each.seconds == 3.0 for each in said_by)

    team.label_batch(BATCH)
    team.wait_for_round(4)
    assert len(told()) == 1, "once is enough"

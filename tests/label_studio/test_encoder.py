"""A project that names no base model gets the one that reads its language, in a real Label Studio."""

from __future__ import annotations

from backend.demo import chinese
from backend.demo.kinds import KINDS
from tests.real import Team


def test_a_chinese_project_starts_with_the_multilingual_model(team: Team) -> None:
    written = chinese.TICKETS.write(60, seed=3)
    team.create([ticket.text for ticket in written], KINDS["chinese"].config)
    team.connect(base_model="auto", class_names=True, audit_share=0.0, max_length=64)
    team.wait_for_round(1)
    project = team.backend.store.projects.get(team.id)
    assert project is not None
    assert (project.encoder["base_model"], project.encoder["by"]) == ("multilingual", "texts")
    adapter = team.backend.store.of(team.id).rounds.adapter(1)
    assert adapter is not None
    assert (adapter.base_model, adapter.examples) == ("multilingual", 0)
    truth = {ticket.text: ticket.topic for ticket in written}
    tasks = {task["id"]: task["data"]["text"] for task in team.call("GET", f"/api/tasks/?project={team.id}")["tasks"]}
    shown = team.predictions(team.project()["model_version"])
    right = [each["result"][0]["value"]["choices"] == [truth[tasks[each["task"]]]] for each in shown]
    assert sum(right) > 0.4 * len(right), "an eighth by chance"

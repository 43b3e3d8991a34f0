"""Label Studio's own templates for texts: each is learned, or a sentence names what is not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from backend.labelstudio.annotations import values_of
from backend.labelstudio.label_config import fields
from backend.labelstudio.label_config.inputs import text_of
from backend.labelstudio.label_config.parse import parse
from backend.labelstudio.label_config.task_spec import Control, TaskSpec
from backend.labelstudio.predictions import spelled
from backend.rounds.context import spec_of
from backend.targets import unmarked
from tests.label_studio.label_configs import PAGE, outcome, page, templates
from tests.real import AUTH, Team, wait_for

LABELED, TASKS = 4, 6
WORDS = "the apple and a hammer near one cat"


def data_of(config: str, spec: TaskSpec, number: int) -> dict[str, Any]:
    """The data of a task: a text for each field of the label config."""
    found: dict[str, Any] = dict.fromkeys(re.findall(r'="\$(\w+)"', config), "x")
    for source in spec.inputs:
        (name, *_) = fields.names(source.value)
        text = f"{WORDS} {number} {source.name}"
        turns = [{source.author_key: "Ann", source.text_key: text}, {source.author_key: "Bo", source.text_key: "yes"}]
        found[name] = turns if source.tag == "Paragraphs" else text
    return found


def value_of(control: Control, number: int, text: str) -> Any:
    """A label of the control; those of different tasks differ."""
    target = control.target
    if target.kind == "spans":
        own = unmarked(text)
        start = own.index("apple" if number % 2 else "hammer")
        return [[start, start + 5, target.classes[number % len(target.classes)]]]
    if target.kind == "multilabel":
        return [target.classes[0]] if number % 2 else []
    if target.kind == "regression":
        return float((target.low or 0) + number % 3)
    return f"answer {number}" if target.kind == "generation" else target.classes[number % len(target.classes)]


@pytest.fixture
def teams(team: Team) -> Iterator[list[Team]]:
    """As many projects as asked for, closed together."""
    made: list[Team] = []
    yield made
    for each in made:
        each.http.close()


def test_every_template_is_learned_or_says_what_is_not(
    team: Team, teams: list[Team], program: Path, tiny_decoder: Path
) -> None:
    waiting = []
    for name, config in templates(program).items():
        project = Team(team.server, team.backend, team.annotators)
        teams.append(project)
        found = outcome(config)
        if found.state == "refused":
            body = {"title": "A template", "label_config": config}
            project.id = project.call("POST", "/api/projects/", body)["id"]
            answer = project.http.post("/api/ml/", json=connection(project))
            assert answer.status_code == 400, name
            assert re.sub("[<>]", "", found.sentences[0])[:50] in answer.text, name
            continue
        spec = parse(config)
        project.create([data_of(config, spec, number) for number in range(TASKS)], config)
        given = label(project, spec)  # before the connection, so that the first round trains
        project.connect(base_model=str(tiny_decoder), audit_share=0, min_steps=1, max_steps=1, react=False)
        waiting.append((name, project, spec, given))
    assert len(waiting) > 15
    store = team.backend.store
    for name, project, spec, given in waiting:
        adapter = wait_for(f"an adapter of {name}", partial(adapter_of, project))
        stored = {each.id: each.values for each in store.of(project.id).tasks.labeled(audit=False)}
        assert stored == given, name
        assert {each["name"] for each in adapter.targets} == {each.name for each in spec.targets}, name
        known = store.projects.get(project.id)
        assert known is not None
        assert spec_of(known).left_out == outcome(known.label_config).sentences, name


def adapter_of(project: Team) -> Any:
    """The adapter in service, if it has learned the labels."""
    store = project.backend.store
    known = store.projects.get(project.id)
    adapter = store.of(project.id).rounds.adapter(known.adapter) if known is not None else None
    return adapter if adapter is not None and adapter.examples == LABELED else None


def connection(project: Team) -> dict[str, Any]:
    """The body of the call that connects the backend."""
    return {
        "url": project.backend.url, "title": "Active learning", "project": project.id, "auth_method": "BASIC_AUTH",
        "basic_auth_user": AUTH[0], "basic_auth_pass": AUTH[1], "extra_params": {},
    }  # fmt: skip


def label(project: Team, spec: TaskSpec) -> dict[int, dict[str, Any]]:
    """Label tasks of a project; the values by task."""
    given = {}
    tasks = project.call("GET", f"/api/tasks?project={project.id}&fields=all")["tasks"]
    for number, task in enumerate(tasks[:LABELED]):
        text = text_of(task["data"], spec)
        values = {control.name: value_of(control, number, text) for control in spec.controls}
        result = spelled(spec, values, text)
        project.annotators[0].submit(task["id"], result)
        given[task["id"]] = values_of({"result": result}, spec, text)
        assert given[task["id"]], "controls that are shown under a condition are left out, others are not"
    return given


def test_the_page_of_the_docs_is_true(program: Path) -> None:
    assert PAGE.read_text("utf-8") == page(program), "run `python -m tests.label_studio.label_configs`"

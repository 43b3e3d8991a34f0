"""What cannot be learned from does not keep a project from learning, and is named everywhere."""

from __future__ import annotations

from typing import Any

import httpx

from tests.conftest import labeled_sentences
from tests.real import AUTH, Team

CONFIG = (
    '<View><Text name="text" value="$meta.text"/><Choices name="topic" toName="text">'
    '<Choice value="fruit"/><Choice value="tool"/><Choice value="animal"/></Choices>'
    '<Number name="weight" toName="text"/></View>'
)


def regions(name: str, kind: str, value: Any) -> list[dict[str, Any]]:
    return [{"id": "x", "from_name": name, "to_name": "text", "type": kind, "value": value}]


def test_bad_labels_and_empty_texts(team: Team) -> None:
    sentences = labeled_sentences(60)
    data: list[Any] = [{"meta": {"text": text}} for text, _ in sentences] + [
        {"meta": {"text": " "}, "other": "field"}
    ] * 3
    data[4]["meta"]["text"] += "\0 and more"  # which Label Studio takes, and PostgreSQL does not
    team.create(data, CONFIG)
    found = team.call("GET", f"/api/tasks?project={team.id}&page_size=100&fields=all")["tasks"]
    tasks = [task["id"] for task in sorted(found, key=lambda task: int(task["id"]))]
    bad: list[Any] = [
        regions("topic", "choices", {"choices": 5}),
        regions("topic", "choices", {"choices": ["fruit", "tool"]}),
        regions("weight", "number", {"number": 10**400}),
        regions("weight", "number", {"number": "many"}),
    ]
    for task, result in zip(tasks[:4], bad, strict=True):
        team.call("POST", f"/api/tasks/{task}/annotations/", {"result": result})
    for task, (_, label) in list(zip(tasks, sentences, strict=False))[4:20]:
        result = regions("topic", "choices", {"choices": [label]}) + regions("weight", "number", {"number": 1.5})
        team.call("POST", f"/api/tasks/{task}/annotations/", {"result": result})
    team.call(
        "POST", f"/api/tasks/{tasks[-1]}/annotations/", {"result": regions("topic", "choices", {"choices": ["tool"]})}
    )
    team.connect()
    team.wait_for_round(1)

    learned = team.backend.store.of(team.id).tasks
    labeled = [each for audit in (False, True) for each in learned.labeled(audit=audit)]
    assert sorted(each.id for each in labeled) == tasks[4:20]
    assert next(each.text for each in labeled if each.id == tasks[4]).endswith("  and more")
    assert team.backend.store.projects.get(team.id).adapter == 1
    assert not {item.task_id for item in team.published()} & set(tasks[-3:]), "nobody is served a task without text"
    answer = httpx.get(f"{team.backend.url}/api/projects/{team.id}/unlearned", auth=AUTH, timeout=300).json()
    assert answer["without_text"] == {
        "tasks": 3, "of": 63, "values": ["$meta.text"], "task": tasks[-3], "fields": ["meta", "other"]
    }  # fmt: skip
    assert [(each["control"], each["reason"], each["tasks"], each["task"]) for each in answer["labels"]] == [
        ("topic", "no text", 1, tasks[-1]), ("topic", "several", 1, tasks[1]), ("topic", "unreadable", 1, tasks[0]),
        ("weight", "too large", 1, tasks[2]), ("weight", "unreadable", 1, tasks[3]),
    ]  # fmt: skip
    page = httpx.get(f"{team.backend.url}/ui/projects/{team.id}", auth=AUTH, timeout=300).text
    assert "3 tasks of 63 have no text under $meta.text" in " ".join(page.split())
    told = " ".join(team.backend.lsal("doctor", str(team.id)).out.split())
    assert "3 of 63 tasks have no text under $meta.text" in told
    assert "1 tasks are not learned from in 'weight'" in told

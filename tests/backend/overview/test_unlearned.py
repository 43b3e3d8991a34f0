"""What is not learned from."""

from __future__ import annotations

from typing import Any

from backend.labelstudio.unusable import Reason
from backend.overview.unlearned import MEANINGS, unlearned, without_text
from backend.store import Store
from backend.store.sql.models import Project

CONFIG = (
    '<View><Text name="t" value="$meta.text"/><Choices name="c" toName="t"><Choice value="a"/><Choice value="b"/>'
    "</Choices></View>"
)


def project_of(store: Store) -> Project:
    found = store.projects.get(7)
    assert found is not None
    return found


def test_every_reason_has_a_meaning() -> None:
    assert set(MEANINGS) == set(Reason)


def test_labels_by_reason(store: Store) -> None:
    store.projects.connect(7, label_config=CONFIG, options={}, host="b.local:9090")
    tasks = store.of(7).tasks
    tasks.put_texts([(n, "" if n in (5, 6) else f"text {n}") for n in range(1, 8)], seed=0, audit_share=0.5)

    def given(task: int, *labels: str | None, agreed: str | None = None, unusable: dict[str, str] | None = None) -> Any:
        rows = [
            {"id": 10 * task + n, "annotator": n, "skipped": False, "labels": {"c": each} if each else {},
             "seconds": None, "unusable": unusable}
            for n, each in enumerate(labels)
        ]  # fmt: skip
        tasks.put_annotations([(task, {"c": agreed} if agreed else {}, True, False)], {task: rows})

    given(1, "a", agreed="a")
    given(2, "a", "b")
    given(3, "removed", agreed="removed")
    given(4, None, unusable={"c": "several"})
    given(5, "a", agreed="a")
    given(7, None, unusable={"c": "several"})
    listed = unlearned(store, project_of(store))
    found = {(each["control"], each["reason"]): (each["tasks"], each["task"]) for each in listed}
    assert found == {
        ("c", Reason.SEVERAL): (2, 4), ("c", Reason.DISAGREEMENT): (1, 2), ("c", Reason.UNKNOWN): (1, 3),
        ("c", Reason.NO_TEXT): (1, 5),
    }  # fmt: skip
    assert listed[0]["reason"] == Reason.SEVERAL


def test_tasks_without_a_text(store: Store) -> None:
    store.projects.connect(7, label_config=CONFIG, options={}, host="b.local:9090")
    store.of(7).tasks.put_texts([(1, "a text")], seed=0, audit_share=0.0)
    assert without_text(store, project_of(store)) is None
    store.of(7).tasks.put_texts([(2, ""), (3, "")], seed=0, audit_share=0.0)
    store.projects.set(7, unread={"task": 2, "fields": ["body"]})
    assert without_text(store, project_of(store)) == {
        "tasks": 2, "of": 3, "values": ["$meta.text"], "task": 2, "fields": ["body"]
    }  # fmt: skip

"""Near-duplicates as shown: groups, and whether their labels differ."""

from __future__ import annotations

from backend.learners.models.cache import BaseModels
from backend.overview.tasks.duplicates import Duplicates, duplicates
from backend.store import Store
from tests.backend.finishing import Finishing
from tests.backend.played import project_of


def look(store: Store, similarity: float = 0.9999) -> Duplicates:
    return duplicates(store, BaseModels(), project_of(store), similarity, 20)


def test_tasks_with_one_text_are_a_group_and_different_labels_come_first(finishing: Finishing) -> None:
    tasks = finishing.store.of(7).tasks
    before = look(finishing.store)
    copies = {1: (501, 502), 2: (503,), 200: (504,)}  # the first two are labeled
    texts = tasks.texts(list(copies))
    tasks.put_texts(
        [(copy, texts[task].text) for task, of_task in copies.items() for copy in of_task], seed=0, audit_share=0.0
    )
    other = next(name for name in ("fruit", "tool") if name != finishing.truth[2])
    tasks.put_annotations([(501, {"topic": finishing.truth[1]}, True, False), (503, {"topic": other}, True, False)])
    found = look(finishing.store)
    assert found["tasks"] == before["tasks"] + 4
    assert found["all"] == 504
    groups = {frozenset(each["task"] for each in group["tasks"]): group["differ"] for group in found["groups"]}
    of = {task: next(key for key in groups if task in key) for task in copies}
    assert {1, 501, 502} <= of[1]
    assert groups[of[2]], "labeled differently"
    assert [group["differ"] for group in found["groups"]] == sorted(groups.values(), reverse=True)
    (copied,) = [each for group in found["groups"] for each in group["tasks"] if each["task"] == 501]
    assert copied["labels"] == {"topic": finishing.truth[1]}
    assert copied["text"] == texts[1].text


def test_texts_that_no_model_has_read_are_counted(finishing: Finishing) -> None:
    before = look(finishing.store)
    finishing.store.of(7).tasks.put_texts([(600, "a text that is new")], seed=0, audit_share=0.0)
    found = look(finishing.store)
    assert (found["compared"], found["all"]) == (before["compared"], before["all"] + 1)

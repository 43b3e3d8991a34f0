"""Second opinions from the request to the round that learns them, on SQLite and PostgreSQL."""

from __future__ import annotations

from typing import Any

from backend.store import Store
from backend.store.annotations import Given
from backend.store.second_opinions import Opinions
from tests.backend.store.test_store import connect, put, store

__all__ = ["store"]  # the fixture: one store of each kind


def label(store: Store, task_id: int, *given: tuple[int, str], skipped: int | None = None) -> None:
    """Labels by annotators, and the last one's value as the task's; a skip by another annotator."""
    rows: list[dict[str, Any]] = [
        {"id": 100 * task_id + who, "annotator": who, "skipped": False, "labels": {"topic": value}, "seconds": 1.0}
        for who, value in given
    ]
    if skipped is not None:
        rows.append(
            {"id": 100 * task_id + skipped, "annotator": skipped, "skipped": True, "labels": {}, "seconds": 1.0}
        )
    values = {"topic": given[-1][1]} if given else {}
    store.of(1).tasks.put_annotations([(task_id, values, bool(given), skipped is not None)], {task_id: rows})


def test_one_is_asked_given_and_learned_once(store: Store) -> None:
    connect(store)
    put(store, 4)
    mine = store.of(1)
    for task_id in (1, 2, 3):
        label(store, task_id, (7, "a"))
    assert mine.annotations.given([1, 2, 4]) == {1: Given(1, 1, 1), 2: Given(1, 1, 1)}
    mine.second_opinions.request({1: 2, 2: 2})
    assert mine.second_opinions.not_raised() == [1, 2]
    mine.second_opinions.raised(1)
    mine.second_opinions.request({1: 2, 2: 2})
    assert mine.second_opinions.not_raised() == [2], "a repeated call changes nothing"
    assert mine.tasks.to_label([1, 2, 3, 4]) == {1, 2, 4}
    assert mine.tasks.open_ones([1, 2, 3, 4]) == {4}

    label(store, 1, (7, "a"), skipped=8)
    assert mine.second_opinions.waiting() == {1: 2, 2: 2}, "a skip is no opinion"
    assert mine.annotations.given([1]) == {1: Given(people=1, labels=1, seen=2)}
    label(store, 1, (7, "a"), (8, "b"))
    assert mine.second_opinions.waiting() == {2: 2}
    assert mine.second_opinions.count_new() == 1
    assert mine.second_opinions.answered_raised() == [1]
    mine.second_opinions.raised(1, now=False)
    assert mine.second_opinions.answered_raised() == []
    assert mine.second_opinions.summary() == Opinions(waiting=1, given=1, changed=1)
    mine.tasks.learned(3)
    assert mine.second_opinions.count_new() == 0
    mine.tasks.unlearned(3)
    assert mine.second_opinions.count_new() == 1

    mine.second_opinions.withdraw([1, 2])
    assert mine.second_opinions.waiting() == {}
    assert mine.second_opinions.summary().given == 1, "what was given stays"
    assert [each.task_id for each in mine.annotations.of_several()] == [1, 1]


def test_a_third_opinion_is_another_question(store: Store) -> None:
    connect(store)
    put(store, 1)
    label(store, 1, (7, "a"))
    opinions = store.of(1).second_opinions
    opinions.request({1: 2})
    label(store, 1, (7, "a"), (8, "b"))
    opinions.request({1: 3})
    assert opinions.waiting() == {}, "the second one is learned first"
    store.of(1).tasks.learned(1)
    opinions.request({1: 3})
    assert opinions.waiting() == {1: 3}
    label(store, 1, (7, "a"), (8, "b"), (9, "b"))
    assert opinions.summary() == Opinions(0, 1, 0)


def test_what_is_deleted_is_asked_no_longer(store: Store) -> None:
    connect(store)
    put(store, 3)
    mine = store.of(1)
    for task_id in (1, 2, 3):
        label(store, task_id, (7, "a"))
    mine.second_opinions.request({1: 2, 2: 2, 3: 2})
    mine.tasks.keep_only({2, 3})
    mine.tasks.forget_annotations([2])
    assert mine.second_opinions.waiting() == {3: 2}
    store.projects.forget(1)
    assert mine.second_opinions.waiting() == {}

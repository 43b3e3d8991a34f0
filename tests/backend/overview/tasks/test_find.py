"""Tasks are found by a text, by a task and by a class."""

from __future__ import annotations

import numpy as np
import pytest

from backend.learners.models.cache import BaseModels
from backend.overview.tasks.find import FindError, Found, Query, find
from backend.pool.nearest import cosines
from backend.store import Store
from tests.backend.finishing import Finishing
from tests.backend.played import project_of
from tests.backend.rounds.test_rounds import fill
from tests.conftest import WORDS


def look(store: Store, query: Query, most: int = 20) -> Found:
    return find(store, BaseModels(), project_of(store), query, most)


def test_the_cosines_are_those_of_the_definition() -> None:
    rng = np.random.default_rng(0)
    rows, query = rng.normal(size=(7, 5)), rng.normal(size=5)
    by_hand = [row @ query / np.linalg.norm(row) / np.linalg.norm(query) for row in rows]
    assert cosines([rows[:4], rows[4:]], query) == pytest.approx(by_hand, abs=1e-6)
    assert cosines([], query).shape == (0,)


def test_open_tasks_similar_to_a_text_come_in_their_order(finishing: Finishing) -> None:
    tasks = finishing.store.of(7).tasks
    waiting = tasks.listed_waiting(audit=False).ids.tolist()
    text = tasks.texts([waiting[0]])[waiting[0]].text
    found = look(finishing.store, Query(text=text + " "))
    assert {each["task"] for each in found["tasks"]} <= set(waiting)
    scores = [each["score"] for each in found["tasks"]]
    assert scores == sorted(scores, reverse=True)
    assert found["compared"] <= found["open"] == len(waiting)
    first = found["tasks"][0]
    assert first["text"] == tasks.texts([first["task"]])[first["task"]].text


def test_tasks_similar_to_a_task_are_others_with_another_text(finishing: Finishing) -> None:
    tasks = finishing.store.of(7).tasks
    task, other, *_ = tasks.listed_waiting(audit=False).ids.tolist()
    text = tasks.texts([task])[task].text
    tasks.put_texts([(other, text)], seed=0, audit_share=0.1)
    found = [each["task"] for each in look(finishing.store, Query(task=task))["tasks"]]
    assert found
    assert not {task, other} & set(found)


def test_tasks_of_a_class_are_probably_of_it(finishing: Finishing) -> None:
    found = look(finishing.store, Query(name="tool"), 10)
    assert len(found["tasks"]) == 10
    assert all(set(each["text"].split()) & set(WORDS["tool"]) for each in found["tasks"])
    assert all(0.5 < each["score"] <= 1 for each in found["tasks"])


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        (Query(), "one of these"),
        (Query(text="a", task=1), "one of these"),
        (Query(text="  "), "enter some words"),
        (Query(task=99_999), "task 99999 is not known"),
        (Query(name="planet"), "does not know a class 'planet'"),
        (Query(name="tool", control="mood"), "of 'mood'"),
    ],
)
def test_what_cannot_be_found_is_named(finishing: Finishing, query: Query, reason: str) -> None:
    with pytest.raises(FindError, match=reason):
        look(finishing.store, query)


def test_before_the_first_model_only_texts_are_compared(store: Store, tiny_encoder: object) -> None:
    fill(store, tiny_encoder, labeled=0)  # type: ignore[arg-type]
    with pytest.raises(FindError, match="no model yet"):
        look(store, Query(name="tool"))
    found = look(store, Query(text="an apple"))
    assert (found["tasks"], found["compared"]) == ([], 0), "the model has read no text yet"

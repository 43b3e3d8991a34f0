"""Which labels get a second opinion, and how they come into the queue."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backend.errors import UnsupportedConfigError
from backend.labelstudio.label_config.parse import parse
from backend.options import ProjectOptions
from backend.rounds.context import Context
from backend.rounds.selection.compatibility import refuse_unsupported
from backend.rounds.selection.second_opinions import doubtful
from backend.rounds.steps.publish import predictions
from backend.store import Store
from backend.store.rounds import SECOND_OPINION
from tests.backend.rounds.selection.test_compatibility import config
from tests.backend.rounds.test_rounds import fill
from tests.backend.steps import opened
from tests.backend.steps import play as run
from tests.conftest import CLASSES, labeled_sentences

COUNT, LABELED = 210, 180
FLIPPED = set(range(5, LABELED, 7))


def two_annotators(store: Store, tiny: Path, *, flipped: set[int] = FLIPPED, people: int = 2, **options: Any) -> None:
    """Project 7: each of two annotators has labeled half of the texts, and gave some of them another class."""
    fill(store, tiny, COUNT, queue_size=12, relabel=True, audit_share=0.1, **options)
    for task, (_, name) in enumerate(labeled_sentences(LABELED), 1):
        given = CLASSES[(CLASSES.index(name) + 1) % 3] if task in flipped else name
        row = {"id": task, "annotator": 1 + task % people, "skipped": False, "labels": {"topic": given}, "seconds": 1.0}
        store.of(7).tasks.put_annotations([(task, {"topic": given}, True, False)], {task: [row]})


def label(store: Store, task: int, *given: tuple[int, str]) -> None:
    """Labels of a task by annotators; the task's own, if they agree."""
    rows = [
        {"id": 1000 * who + task, "annotator": who, "skipped": False, "labels": {"topic": name}, "seconds": 1.0}
        for who, name in given
    ]
    agreed = {"topic": given[0][1]} if len({name for _, name in given}) == 1 else {}
    store.of(7).tasks.put_annotations([(task, agreed, True, False)], {task: rows})


def test_labels_that_are_rather_wrong_than_right(context: Context, store: Store, tiny_encoder: Path) -> None:
    two_annotators(store, tiny_encoder)
    assert doubtful(opened(context), 12, left=True) == [], "no labels were compared yet"
    run(context, 1)
    found = doubtful(opened(context), 12, left=True)
    teach = FLIPPED & {each.id for each in store.of(7).tasks.labeled(audit=False)}
    assert len(teach & set(found)) >= len(found) / 2 > 0
    assert doubtful(opened(context), 2, left=True) == found[:2]
    held_out = {each.id for each in store.of(7).tasks.labeled(audit=True)}
    assert not held_out & set(found)
    label(store, found[0], (1, "fruit"), (2, "fruit"))
    assert doubtful(opened(context), 11, left=True) == found[1:], "a second opinion is enough"


def test_annotators_who_disagree_need_a_third(context: Context, store: Store, tiny_encoder: Path) -> None:
    two_annotators(store, tiny_encoder, flipped=set(), people=3)
    teach = [each.id for each in store.of(7).tasks.labeled(audit=False)]
    label(store, teach[0], (1, "fruit"), (2, "tool"))
    assert doubtful(opened(context), 12, left=True) == teach[:1]
    label(store, teach[0], (1, "fruit"), (2, "tool"), (3, "animal"))
    assert doubtful(opened(context), 12, left=True) == [], "everybody has labeled it"
    measures = store.of(7).tasks.labeled(audit=True)[0].id
    label(store, measures, (1, "fruit"), (2, "tool"))
    assert doubtful(opened(context), 12, left=True) == [], "the model may not choose what measures it"


def test_once_all_tasks_are_labeled_the_least_certain_come_first(
    context: Context, store: Store, tiny_encoder: Path
) -> None:
    two_annotators(store, tiny_encoder)
    teach = [each.id for each in store.of(7).tasks.labeled(audit=False)]
    found = doubtful(opened(context), 200, left=False)
    assert set(found) <= set(teach)
    wrong = FLIPPED & set(teach)
    first = found[: len(wrong)]
    assert len(wrong & set(first)) / len(first) > 2 * len(wrong) / len(teach), "far more than in any order"
    label(store, teach[0], (1, "fruit"), (2, "tool"))
    assert teach[0] not in doubtful(opened(context), 200, left=False), "two annotators have no third"
    two_annotators(store, tiny_encoder, people=3)
    label(store, teach[0], (1, "fruit"), (2, "tool"))
    label(store, teach[1], (1, "fruit"), (2, "fruit"))
    again = doubtful(opened(context), 200, left=False)
    assert again[0] == teach[0], "a tie comes first"
    assert len(again) > 20


def test_one_annotator_is_asked_nothing_twice(context: Context, store: Store, tiny_encoder: Path) -> None:
    two_annotators(store, tiny_encoder, people=1)
    run(context, 1)
    assert doubtful(opened(context), 12, left=True) == []


def test_they_stand_in_the_queue_without_a_suggestion(context: Context, store: Store, tiny_encoder: Path) -> None:
    two_annotators(store, tiny_encoder)
    run(context, 1)
    version = run(context, 2)
    queue = store.of(7).rounds.queue(2)
    again = [item for item in queue if item.chosen_by == SECOND_OPINION]
    assert 0 < len(again) <= 6
    assert len(queue) == 12
    assert store.of(7).tasks.annotated_ones([item.task_id for item in again]) == {item.task_id for item in again}
    made = predictions(opened(context, number=2, version=version), "p7-a1-q2", queue)
    blank = {each["task"] for each in made if not each["result"]}
    assert {item.task_id for item in again} <= blank
    assert len(blank) < len(queue)
    store.projects.set(7, options={**store.projects.get(7).options, "relabel": False})  # type: ignore[union-attr]
    run(context, 3)
    assert not [item for item in store.of(7).rounds.queue(3) if item.chosen_by == SECOND_OPINION]


def test_opinions_count_towards_the_next_round(context: Context, store: Store, tiny_encoder: Path) -> None:
    from backend.rounds.batch import labels_of_batch

    two_annotators(store, tiny_encoder)
    run(context, 1)
    mine = store.of(7)
    assert labels_of_batch(mine, None) == 0
    mine.second_opinions.request({1: 2})
    label(store, 1, (1, "fruit"), (2, "fruit"))
    assert labels_of_batch(mine, None) == 1


def test_other_kinds_of_labels_are_refused() -> None:
    options = ProjectOptions.from_extra_params({"relabel": True})
    refuse_unsupported(options, parse(config("classification", "multilabel")).targets)
    with pytest.raises(UnsupportedConfigError, match=r"extra_params\.relabel works for single choices only"):
        refuse_unsupported(options, parse(config("spans")).targets)

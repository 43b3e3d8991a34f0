"""With the option `near_duplicates`, texts that repeat another come last."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backend.rounds.context import Context
from backend.rounds.embeddings import embedded
from backend.rounds.selection.repeats import without_repeats
from backend.store import Store
from backend.store.texts import Listed
from tests.backend.rounds.test_rounds import fill
from tests.backend.steps import opened, play
from tests.conftest import labeled_sentences


def candidates(store: Store) -> Listed:
    return store.of(7).tasks.listed_waiting(audit=False)


@pytest.fixture
def repeating(context: Context, store: Store, tiny_encoder: Path) -> Store:
    """Thirty different texts, each of them again in other tasks, and three of them labeled."""
    fill(store, tiny_encoder, count=30, labeled=0, audit_share=0.0, near_duplicates=0.999, batch_size=2)
    tasks, data = store.of(7).tasks, labeled_sentences(30)
    tasks.put_texts([(100 + i, text) for i, (text, _) in enumerate(data)], seed=0, audit_share=0.0)
    tasks.put_annotations([(i, {"topic": name}, True, False) for i, (_, name) in enumerate(data[:3], 1)])
    return store


def test_of_texts_that_repeat_each_other_the_first_is_a_candidate(context: Context, repeating: Store) -> None:
    run, labeled = opened(context), repeating.of(7).tasks.labeled(audit=False)
    found = without_repeats(run, candidates(repeating), labeled)
    texts = [task.text for task in repeating.of(7).tasks.texts(found.ids.tolist()).values()]
    vectors = embedded(run, list(repeating.of(7).tasks.texts(found.ids.tolist()).values()), labeled)
    assert len(texts) == len(set(texts)), "each text once"
    assert not set(texts) & {each.text for each in labeled}
    assert len(vectors[0]) == len(found.ids)
    assert found.ids.max() < 100, "the first of each"


def test_the_queue_has_none_while_there_are_others(context: Context, repeating: Store) -> None:
    play(context, 1)
    queued = [item.task_id for item in repeating.of(7).rounds.queue(1)]
    assert queued
    assert max(queued) < 100


def test_they_come_last_and_not_never(context: Context, repeating: Store) -> None:
    tasks = repeating.of(7).tasks
    tasks.put_annotations([(i, {"topic": "tool"}, True, False) for i in range(1, 28)])
    run = opened(context)
    assert len(candidates(repeating).ids) == 33
    found = without_repeats(run, candidates(repeating), tasks.labeled(audit=False))
    assert {28, 29, 30} <= set(found.ids.tolist()), "those that repeat none"
    assert len(found.ids) == run.options.published == 6, "and as many others as a queue needs"


def test_without_the_option_nothing_is_compared(context: Context, store: Store, tiny_encoder: Path) -> None:
    fill(store, tiny_encoder, count=10, labeled=0, audit_share=0.0)
    known = Listed(np.array([1, 2]), np.array([5, 5]))
    assert without_repeats(opened(context), known, []) is known

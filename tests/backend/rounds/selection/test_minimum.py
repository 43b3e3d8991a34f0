"""Classes below a minimum of labels get places in the queue, as many as are expected to help."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import UnsupportedConfigError
from backend.labelstudio.label_config.parse import parse
from backend.options import ProjectOptions
from backend.rounds.context import Context
from backend.rounds.selection.compatibility import refuse_unsupported
from backend.rounds.selection.minimum import lacking
from backend.store import Store
from backend.store.rounds import MINIMUM
from tests.backend.rounds.selection.test_compatibility import config
from tests.backend.rounds.test_rounds import fill
from tests.backend.steps import play as run
from tests.conftest import labeled_sentences


def test_the_most_probable_of_the_class_that_misses_most() -> None:
    probs = np.array([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0], [0.6, 0.4, 0.0], [0.1, 0.9, 0.0]])
    assert lacking(probs, np.array([0.0, 1.5, 0.0]), 9).tolist() == [3, 1]
    assert lacking(probs, np.array([0.5, 1.0, 0.0]), 9).tolist() == [3, 0]
    assert lacking(probs, np.array([0.0, 5.0, 0.0]), 2).tolist() == [3, 1]
    assert lacking(probs, np.array([0.0, 0.0, 7.0]), 9).tolist() == [], "no text seems to be of that class"
    assert lacking(probs, np.zeros(3), 9).tolist() == []
    assert lacking(np.empty((0, 3)), np.ones(3), 9).tolist() == []


@given(st.integers(0, 12), st.integers(0, 20), st.integers(0, 1000))
def test_as_many_as_are_expected_to_be_enough(texts: int, most: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    probs, missing = rng.dirichlet(np.ones(4), texts), rng.integers(0, 4, 4).astype(float)
    rows = lacking(probs, missing, most).tolist()
    assert len(set(rows)) == len(rows) <= min(most, texts)
    if rows:
        before = missing - probs[rows[:-1]].sum(axis=0)
        assert before.max() > 0, "the last one was still needed"


def test_a_rare_class_gets_its_places_until_it_has_enough(context: Context, store: Store, tiny_encoder: Path) -> None:
    fill(store, tiny_encoder, 90, queue_size=12, minimum_per_class=8, min_steps=100)
    mine, data = store.of(7), labeled_sentences(90)
    tools = [task for task, (_, name) in enumerate(data, 1) if name == "tool"]
    given = [task for task, (_, name) in enumerate(data, 1) if name != "tool"][:36] + tools[:4]
    mine.tasks.put_annotations([(task, {"topic": data[task - 1][1]}, True, False) for task in given])
    run(context, 1)
    places = [item.task_id for item in mine.rounds.queue(1) if item.chosen_by == MINIMUM]
    assert 1 <= len(places) <= 5
    assert np.mean([task in tools for task in places]) > 0.5
    mine.tasks.put_annotations([(task, {"topic": "tool"}, True, False) for task in tools[:12]])
    run(context, 2)
    assert not [item for item in mine.rounds.queue(2) if item.chosen_by == MINIMUM]


def test_several_choices_count_each(context: Context, store: Store, tiny_encoder: Path) -> None:
    from tests.backend.rounds.selection.test_compatibility import fill as fill_kind

    fill_kind(store, tiny_encoder, ["multilabel"], labeled=30, count=60, minimum_per_class=29, queue_size=10)
    run(context, 1)
    assert [item for item in store.of(7).rounds.queue(1) if item.chosen_by == MINIMUM]


def test_other_kinds_of_labels_are_refused() -> None:
    options = ProjectOptions.from_extra_params({"minimum_per_class": 5})
    for kinds in (["classification"], ["multilabel", "spans"]):
        refuse_unsupported(options, parse(config(*kinds)).targets)
    with pytest.raises(UnsupportedConfigError, match=r"extra_params\.minimum_per_class works for choices only"):
        refuse_unsupported(options, parse(config("regression")).targets)

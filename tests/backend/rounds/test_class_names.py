"""Rounds before the first label, by the names of the classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.errors import UnsupportedConfigError
from backend.options import ProjectOptions
from backend.rounds import adapters, class_names, reach
from backend.rounds.class_texts import class_texts
from backend.rounds.context import Context
from backend.rounds.events import AHEAD
from backend.rounds.selection import prefilter
from backend.rounds.selection.compatibility import refuse_unsupported
from backend.rounds.steps.publish import predictions
from backend.store import Store
from tests.backend.rounds.selection.test_compatibility import config
from tests.backend.rounds.test_rounds import fill
from tests.backend.steps import opened
from tests.backend.steps import play as run
from tests.conftest import CLASSES, WORDS, labeled_sentences

# The tiny models know these words, but not what fruit is.
DESCRIPTIONS = {name: " ".join(words) for name, words in WORDS.items()}
TAXONOMY = (
    '<View><Text name="text" value="$text"/><Taxonomy name="topic" toName="text"><Choice value="living">'
    '<Choice value="fruit"/><Choice value="animal"/></Choice><Choice value="tool"/></Taxonomy></View>'
)
PATHS = {"living / fruit": "fruit", "living / animal": "animal", "tool": "tool"}


def named(store: Store, tiny: Path, count: int = 60, labeled: int = 0, **options: Any) -> None:
    fill(store, tiny, count, labeled, **{"class_names": True, "descriptions": DESCRIPTIONS, **options})


def suggestions(context: Context, version: int) -> dict[int, Any]:
    """The suggested value by task number, of the first queue; held-out tasks have none."""
    shown = predictions(opened(context, version=version), f"p7-a{version}-q1", context.store.of(7).rounds.queue(1))
    return {each["task"]: each["result"][0]["value"] for each in shown if each["result"]}


def right(store: Store, version: int) -> float:
    """How many of the waiting texts the adapter's most probable class is right for."""
    waiting = store.of(7).tasks.listed_waiting(audit=False)
    best = store.files.scores(7, version).take("topic/probs", waiting.digests).argmax(axis=1)
    truth = [labeled_sentences(60)[task - 1][1] for task in waiting.ids.tolist()]
    return float(np.mean([CLASSES[row] == label for row, label in zip(best, truth, strict=True)]))


def test_the_first_queue_has_suggestions_and_an_order(context: Context, store: Store, tiny_encoder: Path) -> None:
    named(store, tiny_encoder)
    assert run(context, 1) == 1
    adapter = store.of(7).rounds.adapter(1)
    assert adapter is not None
    assert adapter.examples == 0
    found = store.of(7).rounds.get(1)
    assert found is not None
    assert (found.strategy, found.state) == ("uncertainty_herding", "done")
    queue = store.of(7).rounds.queue(1)
    scores = [place.score for place in queue if not place.audit]
    assert scores == sorted(scores, reverse=True)
    shown = suggestions(context, 1)
    assert set(shown) == {place.task_id for place in queue if not place.audit}
    assert right(store, 1) > 0.5, "a third by chance"
    texts = [task.text for task in store.of(7).tasks.every()]
    learner = adapters.load(opened(context), 1)
    scored = store.files.scores(7, 1).take("topic/probs", [task.digest for task in store.of(7).tasks.every()])
    np.testing.assert_allclose(learner.predict(texts)["topic/probs"], scored, atol=1e-5)


@pytest.mark.parametrize(("labeled", "same"), [(6, True), (30, False)])
def test_few_labels_of_right_names_leave_the_base_model_as_it_is(
    context: Context, store: Store, tiny_encoder: Path, labeled: int, same: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.learners.heads.class_names._CLASSES", 1)  # as if three were many
    named(store, tiny_encoder, labeled=labeled)
    run(context, 1)
    texts = [task.text for task in store.of(7).tasks.every()]
    features = adapters.load(opened(context), 1).score(texts, ["features"])["features"]
    vectors = context.models.get(str(tiny_encoder)).embed(texts, max_length=64)
    assert np.allclose(features, vectors, atol=1e-5) is same
    assert store.of(7).rounds.adapter(1).examples > 0  # type: ignore[union-attr]


def test_labels_are_learned_on_top_of_names(context: Context, store: Store, tiny_encoder: Path) -> None:
    named(store, tiny_encoder, labeled=3)
    run(context, 1)
    assert store.of(7).rounds.adapter(1).examples > 0  # type: ignore[union-attr]


@pytest.mark.parametrize("label_config", [config("multilabel"), TAXONOMY], ids=["several", "taxonomy"])
def test_every_kind_of_choice(label_config: str, context: Context, store: Store, tiny_encoder: Path) -> None:
    described = DESCRIPTIONS if label_config != TAXONOMY else {path: DESCRIPTIONS[n] for path, n in PATHS.items()}
    named(store, tiny_encoder, descriptions=described)
    store.projects.set(7, label_config=label_config)
    assert run(context, 1) == 1
    assert store.of(7).rounds.queue(1)


def test_names_without_words_and_options_that_turn_them_off(context: Context, store: Store, tiny_encoder: Path) -> None:
    codes = config("classification").replace("fruit", "A").replace("tool", "1").replace("animal", "x17")
    named(store, tiny_encoder, descriptions={})
    store.projects.set(7, label_config=codes)
    assert class_texts(context.open(7)) == {}
    assert run(context, 1) == 0
    assert store.of(7).rounds.get(1).strategy == "k_means"  # type: ignore[union-attr]
    store.projects.set(7, options={**context.open(7).project.options, "descriptions": {"A": "a b", "1": "c d"}})
    assert class_texts(context.open(7)) == {}, "one is still a code"
    store.projects.set(7, label_config=config("classification"), options={"class_names": False})
    assert class_texts(context.open(7)) == {}


def test_a_description_of_a_class_that_is_not_there_is_refused(store: Store, context: Context) -> None:
    options = ProjectOptions.from_extra_params({"descriptions": {"HUM": "a person"}})
    store.projects.connect(7, label_config=config("classification"), options={}, host="b.local")
    with pytest.raises(UnsupportedConfigError, match="describes 'HUM', which no control offers; they offer animal"):
        refuse_unsupported(options, context.open(7).spec.targets)


def test_a_new_class_is_suggested_at_once(context: Context, store: Store, tiny_encoder: Path) -> None:
    whole = config("classification")
    named(store, tiny_encoder, labeled=20, min_steps=10, max_steps=10)
    store.projects.set(7, label_config=whole.replace('<Choice value="animal"/>', ""))
    run(context, 1)
    assert store.of(7).rounds.adapter(1).targets[0]["classes"] == ["fruit", "tool"]  # type: ignore[union-attr]
    store.projects.set(7, label_config=whole)
    version = run(context, 2)
    waiting = store.of(7).tasks.listed_waiting(audit=False)
    probs = store.files.scores(7, version).take("topic/probs", waiting.digests)
    assert (probs.argmax(axis=1) == CLASSES.index("animal")).any()


def test_of_a_large_pool_a_part_comes_first_and_the_rest_between_rounds(
    context: Context, store: Store, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"SMALL": 50, "_FIRST": 40, "_AT_LEAST": 20, "_AT_ONCE": 30}.items():
        monkeypatch.setattr(reach, name, value)
    monkeypatch.setattr(prefilter, "SCORED", 25)
    monkeypatch.setattr(class_names, "_SAMPLE", 25)
    named(store, tiny_encoder, count=200)
    assert run(context, 1) == 1
    waiting = store.of(7).tasks.listed_waiting(audit=False)

    def known() -> set[int]:
        embedded = store.files.embeddings(7, f"{tiny_encoder}-32")
        return set(waiting.ids[embedded.rows(waiting.digests) >= 0].tolist())

    first = known()
    distinct = len(np.unique(waiting.digests))
    assert 40 <= len(first) < distinct, "more than the sample that names are compared with"
    assert {place.task_id for place in store.of(7).rounds.queue(1) if not place.audit} <= first
    assert store.of(7).rounds.get(1).candidates == len(first)  # type: ignore[union-attr]
    this = opened(context)
    store.events.add(7, "ANNOTATION_CREATED")
    reach.embed_ahead(this)
    assert known() == first, "there is something else to do"
    assert AHEAD in store.events.after(7, 0)[1]
    reach.embed_ahead(opened(context, events={"mark": store.events.after(7, 0)[0], "actions": []}))
    assert known() == set(waiting.ids.tolist())

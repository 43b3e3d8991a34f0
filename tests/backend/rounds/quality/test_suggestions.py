"""Suggestions that a model learned are shown once they save work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.overview.state import suggestions
from backend.rounds.adapters import learned
from backend.rounds.context import Context
from backend.rounds.steps.publish import predictions
from backend.store import Store
from backend.web.dashboard import sentences
from backend.web.dashboard.language import Language
from tests.backend.steps import opened, play
from tests.conftest import CLASSES, WORDS, labeled_sentences

CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="topics" toName="text" choice="multiple">'
    + "".join(f'<Choice value="{name}"/>' for name in CLASSES)
    + "</Choices></View>"
)


def fill(store: Store, base_model: Path, labeled: int = 30, **options: Any) -> None:
    given = {"base_model": str(base_model), "batch_size": 4, "min_steps": 60, "audit_share": 0.0} | options
    store.projects.connect(7, label_config=CONFIG, options=given, host="b.local")
    data = labeled_sentences(120)
    store.of(7).tasks.put_texts([(i, text) for i, (text, _) in enumerate(data, 1)], seed=0, audit_share=0.0)
    label(store, {i: [name] for i, (_, name) in enumerate(data[:labeled], 1)})


def label(store: Store, values: dict[int, list[str]]) -> None:
    store.of(7).tasks.put_annotations([(i, {"topics": value}, True, False) for i, value in values.items()])


def shown(context: Context, version: int, queue: int) -> bool:
    items = context.store.of(7).rounds.queue(queue)
    return any(each["result"] for each in predictions(opened(context, version=version), "a version", items))


def predicted(store: Store, version: int, tasks: list[int]) -> dict[int, list[str]]:
    """The labels that an adapter gives each of these tasks."""
    texts = store.of(7).tasks.texts(tasks)
    _, outputs = store.files.scores(7, version).found(["topics/probs"], [texts[task].digest for task in tasks])
    rows = np.asarray(outputs["topics/probs"]) >= 0.5
    return {
        task: [name for name, on in zip(CLASSES, row, strict=True) if on] for task, row in zip(tasks, rows, strict=True)
    }


def held_back(store: Store, version: int) -> bool:
    adapter = store.of(7).rounds.adapter(version)
    assert adapter is not None
    return learned(adapter)[0].held_back


@pytest.mark.parametrize("right", [True, False])
def test_they_are_held_back_until_new_labels_show_that_half_are_right(
    context: Context, store: Store, tiny_encoder: Path, right: bool
) -> None:
    fill(store, tiny_encoder)
    play(context, 1)
    assert held_back(store, 1), "nothing is known of the first adapter"
    assert not shown(context, 1, 1)
    new = predicted(store, 1, list(range(31, 71)))
    assert sum(map(len, new.values())) >= 10
    others = {task: [name for name in CLASSES if name not in names] for task, names in new.items()}
    label(store, new if right else others)
    play(context, 2)
    assert held_back(store, 2) is not right
    assert shown(context, 2, 2) is right
    given = sum(map(len, new.values()))
    project = store.projects.get(7)
    assert project is not None
    store.projects.set(7, adapter=2)
    project.adapter = 2
    assert suggestions(store, project)["topics"] == {"right": given if right else 0, "given": given, "shown": right}


def test_held_out_labels_count_and_too_few_leave_the_decision(
    context: Context, store: Store, tiny_encoder: Path
) -> None:
    fill(store, tiny_encoder, labeled=0, audit_share=0.4)
    store.of(7).tasks.assign_audit(seed=0, share=0.4)
    label(store, {i: [name] for i, (_, name) in enumerate(labeled_sentences(80), 1)})
    play(context, 1)
    found = store.of(7).rounds.last("suggestions")["topics"]
    assert found["given"] >= 10
    assert found["shown"] == (found["right"] >= found["given"] / 2) != held_back(store, 1)
    store.of(7).tasks.assign_audit(seed=0, share=0.0)
    label(store, {81: ["fruit"]})
    play(context, 2)
    assert store.of(7).rounds.last("suggestions")["topics"] == found


@pytest.mark.parametrize(("option", "there"), [(True, True), (False, False)])
def test_the_option_decides(
    context: Context, store: Store, tiny_encoder: Path, option: bool, there: bool
) -> None:  # fmt: skip
    fill(store, tiny_encoder, pre_annotate=option)
    play(context, 1)
    assert not held_back(store, 1)
    assert shown(context, 1, 1) is there


def test_class_names_alone_are_suggested(context: Context, store: Store, tiny_encoder: Path) -> None:
    fill(
        store,
        tiny_encoder,
        labeled=0,
        class_names=True,
        descriptions={name: " ".join(words) for name, words in WORDS.items()},
    )
    play(context, 1)
    adapter = store.of(7).rounds.adapter(1)
    assert adapter is not None
    assert adapter.examples == 0
    assert not held_back(store, 1)
    store.projects.set(7, adapter=1)
    found = suggestions(store, store.projects.get(7))  # type: ignore[arg-type]
    assert sentences.suggestions("topics", found["topics"], Language("en")) == (
        "Suggestions of topics are shown from the start: no label has confirmed them yet"
    )


def test_the_page_says_which_are_shown_and_why() -> None:
    def said(*, shown: bool, right: float, given: int) -> str:
        return sentences.suggestions("words", {"shown": shown, "right": right, "given": given}, Language("en"))

    assert said(shown=True, right=30, given=40) == (
        "Suggestions of words are shown: of 40 compared with labels, 75.0% were right"
    )
    assert said(shown=False, right=14, given=355) == (
        "Suggestions of words are held back until at least half of them are right: of 355 compared with labels, "
        "3.9% were"
    )
    assert "until new labels show that at least half of them are right" in said(shown=False, right=0, given=0)

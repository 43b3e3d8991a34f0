"""The base model that a project gets if it names none."""

from __future__ import annotations

import logging
import random
from functools import cache
from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerBase

from backend.demo import chinese, tickets
from backend.demo.grammar import Grammar
from backend.learners.models import languages
from backend.learners.models.languages import ENGLISH
from backend.learners.models.loading import tokenizer_of
from backend.rounds import commands, encoder
from backend.rounds.context import Context
from backend.rounds.events import ROUND_REQUESTED
from backend.rounds.insights import encoders
from backend.store import Store
from tests.backend.played import project_of
from tests.backend.rounds.test_rounds import OPTIONS
from tests.backend.steps import do, opened

GOOD = [
    "味道很好",
    "送餐很快，态度也好",
    "份量足，很满意",
    "非常好吃，下次还来",
    "包装精致，推荐大家",
    "又快又热，好评",
]
BAD = [
    "太难吃了",
    "等了两个小时，凉了",
    "少送了一份，差评",
    "肉是臭的，不会再来",
    "汤全洒了，态度恶劣",
    "又慢又贵，很失望",
]
ENDINGS = [
    "。",
    "！",
    "，真的。",
    "，我点的是面条。",
    "，昨天中午点的。",
    "，和朋友一起吃的。",
    "，第二次点了。",
    "，给孩子点的。",
]
REVIEWS = (
    '<View><Text name="text" value="$text"/><Choices name="topic" toName="text"><Choice value="好评"/>'
    '<Choice value="差评"/></Choices></View>'
)


@pytest.fixture(autouse=True)
def loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The large tokenizer takes seconds to load."""
    monkeypatch.setattr(languages, "tokenizer_of", _loaded)
    monkeypatch.setattr(encoder, "tokenizer_of", _loaded)


@cache
def _loaded(name: str) -> PreTrainedTokenizerBase:
    return tokenizer_of(name)


def fill(store: Store, texts: list[str], config: str = REVIEWS, first: int = 1, **options: object) -> None:
    store.projects.connect(7, label_config=config, options={**OPTIONS, **options}, host="b.local")
    store.of(7).tasks.put_texts(list(enumerate(texts, first)), seed=0, audit_share=0.0)


def written(grammar: Grammar, count: int) -> list[str]:
    return [ticket.text for ticket in grammar.write(count, 1)]


def test_the_language_of_the_texts_decides(context: Context, store: Store, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    fill(store, written(chinese.TICKETS, 30))
    assert opened(context).options.base_model == ENGLISH, "until there are texts"
    do(context, "encoder")
    assert opened(context).options.base_model == "multilingual"
    found = project_of(store).encoder
    assert (found["by"], found["measured"], found["tasks"]) == ("texts", "multilingual", 30)
    assert found["unknown"] < 0.01
    assert "base model multilingual, for the language of its texts" in caplog.text
    caplog.clear()
    do(context, "encoder")
    assert not caplog.records, "nothing is read again until the tasks have doubled"


def test_it_is_decided_again_when_tasks_double_and_no_longer_with_labels(context: Context, store: Store) -> None:
    fill(store, written(tickets.TICKETS, 4))
    do(context, "encoder")
    assert opened(context).options.base_model == "minilm"
    fill(store, written(chinese.TICKETS, 40), first=5)
    do(context, "encoder")
    assert opened(context).options.base_model == "multilingual"
    assert store.events.after(7, 0)[1] == {ROUND_REQUESTED}
    store.of(7).tasks.put_annotations([(5, {"topic": "好评"}, True, False)])
    fill(store, written(tickets.TICKETS, 900), first=50)
    do(context, "encoder")
    assert opened(context).options.base_model == "multilingual", "what was learned would be lost"
    assert project_of(store).encoder["tasks"] == 944


def test_a_named_model_stays_and_what_it_does_not_know_is_logged(
    context: Context, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    fill(store, written(chinese.TICKETS, 30), base_model="minilm")
    do(context, "encoder")
    assert opened(context).options.base_model == "minilm"
    assert project_of(store).encoder["unknown"] > 0.5
    assert "minilm does not know" in caplog.text
    assert "of the word pieces of the texts" in caplog.text
    fill(store, [], base_model="multilingual")
    do(context, "encoder")
    assert project_of(store).encoder["unknown"] < 0.01, "measured again for another model"


def test_a_project_from_before_keeps_its_model_until_a_person_switches(context: Context, store: Store) -> None:
    fill(store, written(chinese.TICKETS, 30))
    store.projects.set(7, encoder={"base_model": "minilm", "by": "upgrade"})
    do(context, "encoder")
    assert opened(context).options.base_model == "minilm"
    with pytest.raises(commands.CommandError, match="choose from minilm, multilingual"):
        commands.choose_base_model(store, 7, "gpt")
    commands.choose_base_model(store, 7, "multilingual")
    assert opened(context).options.base_model == "multilingual"
    assert project_of(store).encoder["by"] == "person"
    assert store.events.after(7, 0)[1] == {ROUND_REQUESTED}
    fill(store, [], base_model="minilm")
    with pytest.raises(commands.CommandError, match="Extra params name a base model"):
        commands.choose_base_model(store, 7, "minilm")


def test_no_texts_and_no_package(
    context: Context, store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill(store, [])
    do(context, "encoder")
    assert project_of(store).encoder == {}
    monkeypatch.setattr(languages, "tokenizer_of", tokenizer_of)
    monkeypatch.setattr("backend.learners.models.packaged.multilingual.find_spec", lambda name: None)
    monkeypatch.setattr("backend.learners.models.packaged.HF_HOME", str(tmp_path))
    fill(store, written(chinese.TICKETS, 30))
    do(context, "encoder")
    assert opened(context).options.base_model == "minilm"
    assert "the texts may suit another base model, but base model 'multilingual' needs its weights" in caplog.text


def test_labels_show_which_model_learns_them_better(context: Context, store: Store) -> None:
    rng = random.Random(0)
    pairs = [(line + end, "好评" if line in GOOD else "差评") for line in GOOD + BAD for end in ENDINGS]
    pairs = rng.sample(pairs, 60)
    fill(store, [text for text, _ in pairs])
    store.projects.set(7, encoder={"base_model": "minilm", "by": "upgrade"})
    labels = [(i, {"topic": label}, True, False) for i, (_, label) in enumerate(pairs[:50], 1)]
    store.of(7).tasks.put_annotations(labels[:49])
    assert not encoders.applies(opened(context)), "too few labels"
    store.of(7).tasks.put_annotations(labels[49:])
    assert encoders.applies(opened(context))
    encoders.compare(opened(context))
    found = project_of(store).encoder
    assert found["compared"]["accuracy"]["multilingual"] > found["compared"]["accuracy"]["minilm"] + 0.1
    assert (found["base_model"], found["by"], found["compared"]["labels"]) == ("multilingual", "labels", 50)
    assert store.events.after(7, 0)[1] == {ROUND_REQUESTED}
    assert not encoders.applies(opened(context)), "again when the labels have doubled"


def test_a_persons_choice_is_compared_and_kept(context: Context, store: Store) -> None:
    pairs = [(line + end, "好评" if line in GOOD else "差评") for line in GOOD + BAD for end in ENDINGS[:5]]
    fill(store, [text for text, _ in pairs])
    store.projects.set(7, encoder={"base_model": "minilm", "by": "person"})
    store.of(7).tasks.put_annotations([(i, {"topic": label}, True, False) for i, (_, label) in enumerate(pairs, 1)])
    encoders.compare(opened(context))
    found = project_of(store).encoder
    assert (found["base_model"], found["by"], found["compared"]["better"]) == ("minilm", "person", "multilingual")
    assert found["compared"]["gain"] > 0
    assert store.events.after(7, 0)[1] == set()


@pytest.mark.parametrize(("ratio", "chosen", "by"), [(1.3, "multilingual", "names"), (1.2, "minilm", "texts")])
def test_class_names_that_separate_english_texts_better_with_another_model(
    context: Context, store: Store, monkeypatch: pytest.MonkeyPatch, ratio: float, chosen: str, by: str
) -> None:
    margins = {"minilm": 0.4, "multilingual": 0.4 * ratio}
    monkeypatch.setattr(encoder, "margin", lambda run: margins[run.options.base_model])
    fill(store, written(tickets.TICKETS, 30))
    do(context, "encoder")
    do(context, "names")
    found = project_of(store).encoder
    assert (found["base_model"], found["by"], found["margins"]) == (chosen, by, margins)
    assert store.events.after(7, 0)[1] == ({ROUND_REQUESTED} if by == "names" else set())
    fill(store, written(tickets.TICKETS, 90), first=31)
    do(context, "encoder")
    do(context, "names")
    assert project_of(store).encoder["base_model"] == chosen, "more English texts change nothing"


def test_the_margin_of_class_names(context: Context, store: Store) -> None:
    """Names that texts contain are clear, others are not."""
    found = []
    for names in (("refund", "delivery"), ("purple", "seven")):
        config = REVIEWS.replace("好评", names[0]).replace("差评", names[1])
        fill(store, ["I want my refund now", "where is my delivery?", "refund me", "the delivery is late"], config,
             class_names=True, base_model="minilm")  # fmt: skip
        store.projects.set(7, label_config=config)
        found.append(encoder.margin(opened(context)))
    assert found[0] > found[1] + 0.2
    fill(store, [], REVIEWS.replace("<Choices ", '<Choices choice="multiple" '), class_names=True)
    store.projects.set(7, label_config=REVIEWS.replace("<Choices ", '<Choices choice="multiple" '))
    assert encoder.margin(opened(context)) == 0.0, "several labels: not comparable"

"""What the model reads of a task."""

from __future__ import annotations

import numpy as np
import pytest

from backend.labelstudio.annotations import values_of
from backend.labelstudio.controls import BY_KIND
from backend.labelstudio.label_config.inputs import fields_of, text_of
from backend.labelstudio.label_config.parse import parse
from backend.labelstudio.predictions import spelled
from backend.targets import sides, without_context

CHOICES = '<Choices name="c" toName="t"><Choice value="a"/><Choice value="b"/></Choices>'


def reading(texts: str, data: object) -> str:
    return text_of(data, parse(f"<View>{texts}{CHOICES}</View>"))


def test_one_text_is_read_as_it_stands() -> None:
    text = '<Text name="t" value="$body"/>'
    assert reading(text, {"body": " a\r\nb 😀 "}) == " a\r\nb 😀 "
    assert reading(text, {"body": 12}) == "12"
    for nothing in ({"body": None}, {}, "x", None):
        assert reading(text, nothing) == ""


def test_several_texts_follow_their_names() -> None:
    texts = '<Text name="t" value="$title"/><Text name="body" value="$body"/>'
    assert reading(texts, {"title": "Hi", "body": "there"}) == "t: Hi\nbody: there"
    assert reading(texts, {"title": "Hi", "body": " "}) == "t: Hi"
    assert reading(texts, {}) == ""


def test_what_is_compared_comes_last_and_apart() -> None:
    texts = '<Text name="b" value="$b"/><Text name="q" value="$q"/><Text name="a" value="$a"/>'
    spec = parse(f'<View>{texts}<Pairwise name="p" toName="a,b"/></View>')
    assert sides(text_of({"a": "one", "b": "two", "q": "which?"}, spec)) == ("which?", "one", "two")
    assert sides(text_of({"a": "one", "b": "two"}, spec)) == ("", "one", "two")
    assert not text_of({"other": "field"}, spec).strip()


def test_dialogues_have_speakers() -> None:
    texts = '<Paragraphs name="t" value="$d" nameKey="who" textKey="said"/>'
    turns = [{"who": "Ann", "said": "Hello"}, {"said": "yes?"}, {"who": "Bo"}, "odd"]
    assert reading(texts, {"d": turns}) == "Ann: Hello\nyes?"
    assert reading(texts, {"d": '[{"who": "Ann", "said": "Hello"}]'}) == "Ann: Hello"
    assert reading(texts, {"d": "no dialogue"}) == "no dialogue"
    assert reading(texts, {"d": 3}) == ""


def test_a_template_is_filled_in() -> None:
    assert reading('<Text name="t" value="Title: $title"/>', {"title": "Pears"}) == "Title: Pears"
    beside = '<Text name="s" value="Subject: $subject"/><Text name="t" value="$body"/>'
    assert reading(beside, {"subject": "S", "body": "sweet"}) == "s: Subject: S\nt: sweet"
    assert reading('<Text name="t" value="$title $body"/>', {"other": "x"}) == ""


def test_encoded_texts_and_lists() -> None:
    text = '<Text name="t" value="$text" encoding="base64"/>'
    assert reading(text, {"text": "SSBib3VnaHQgYSBwZWFy"}) == "I bought a pear"
    assert reading('<Text name="t" value="$text"/>', {"text": ["ONE", "TWO"]}) == "ONE,TWO"


def test_what_nobody_can_read_is_no_text() -> None:
    for nothing in ({"a": 1}, [{"a": 1}], " \n\t", [], ""):
        assert reading('<Text name="t" value="$text"/>', {"text": nothing}) == ""
    assert reading('<Text name="t" value="$a"/><Text name="u" value="$b"/>', {"a": " ", "b": None}) == ""


def test_repeated_texts_are_read_for_each_element() -> None:
    repeated = '<Repeater on="$source" indexFlag="{{i}}"><Text name="s_{{i}}" value="$source[{{i}}].text"/></Repeater>'
    data = {"body": "all", "source": [{"text": "one"}, {"text": "two"}]}
    assert reading(f'<Text name="t" value="$body"/>{repeated}', data) == "t: all\ns_{{i}}: one\ntwo"
    assert reading(f'<Text name="t" value="$body"/>{repeated}', {"body": "all", "source": 5}) == "t: all"


@pytest.mark.parametrize("bomb", ["[" * 100_000, '{"a":' * 100_000, "9" * 5000])
def test_a_bomb_in_place_of_a_dialogue_is_a_text(bomb: str) -> None:
    assert reading('<Paragraphs name="t" value="$d"/>', {"d": bomb}) == bomb


def test_lists_in_lists_are_no_text() -> None:
    deep: list[object] = []
    for _ in range(900):
        deep = [deep]
    assert reading('<Text name="t" value="$d"/>', {"d": deep}) == ""


def test_a_character_that_databases_refuse_becomes_a_space() -> None:
    assert reading('<Text name="t" value="$d"/>', {"d": "a\0b"}) == "a b"


def test_the_fields_of_a_task() -> None:
    assert fields_of({"title": 1, "x" * 99: 2}) == ["title", "x" * 60]
    assert fields_of(None) == []


def test_context_follows_the_text_in_which_spans_are_marked() -> None:
    config = (
        '<View><Text name="q" value="$question"/><Text name="t" value="$body"/>'
        '<Labels name="l" toName="t"><Label value="A"/></Labels></View>'
    )
    spec = parse(config, context=["q"])
    text = text_of({"question": "Who?", "body": "It was \x1eBob."}, spec)
    assert text.startswith("It was  Bob.")
    assert text.endswith("q: Who?")
    assert without_context(text) == "It was  Bob."
    assert text_of({"question": "Who?", "body": " "}, spec) == "", "there is nothing to mark"
    assert text_of({"body": "It was Bob."}, spec) == "It was Bob."
    region = {"from_name": "l", "type": "labels", "value": {"start": 8, "end": 11, "labels": ["A"]}}
    assert values_of({"result": [region]}, spec, text) == {"l": [[8, 11, "A"]]}
    assert spelled(spec, {"l": [[8, 11, "A"]]}, text)[0]["value"] == region["value"] | {"text": "Bob"}
    (control,) = spec.controls
    output = {"spans": np.array([[8, 11, 0], [16, 19, 0]]), "span_probs": np.array([0.9, 0.8])}
    assert BY_KIND["spans"].predicted(control, control.target, output, text)[0] == [[8, 11, "A"]], "not in the question"
    outside = {"from_name": "l", "type": "labels", "value": {"start": 14, "end": 17, "labels": ["A"]}}
    assert values_of({"result": [outside]}, spec, text) == {}

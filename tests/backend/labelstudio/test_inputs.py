"""What the model reads of a task."""

from __future__ import annotations

from backend.labelstudio.inputs import text_of
from backend.labelstudio.label_config import parse
from backend.targets import sides

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

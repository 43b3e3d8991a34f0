"""Label configs: what is understood, and the sentence for what is not."""

from __future__ import annotations

import pytest

from backend.errors import UnsupportedConfigError
from backend.labelstudio.label_config import TaskSpec, parse, text_of


def config(control: str, text: str = '<Text name="t" value="$body"/>') -> str:
    return f"<View><Header value='Hi'/>{text}{control}</View>"


def test_single_choice_on_a_text() -> None:
    spec = parse(config('<Choices name="c" toName="t"><Choice value="A &amp; B"/><Choice value="é 中"/></Choices>'))
    assert spec == TaskSpec("c", "t", "body", ("A & B", "é 中"))


def test_aliases_are_what_annotations_hold() -> None:
    spec = parse(config('<Choices name="c" toName="t"><Choice value="Yes" alias="y"/><Choice value="No"/></Choices>'))
    assert spec.classes == ("y", "No")


TWO = '<Choices name="c" toName="t"><Choice value="a"/><Choice value="b"/></Choices>'


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        ("", "label config is empty"),
        ("   ", "label config is empty"),
        ("<View>", "cannot be read"),
        ("<View/>", "has no control"),
        (config('<Choices name="c" toName="t" choice="multiple"><Choice value="a"/></Choices>'), "choice='multiple'"),
        (config('<Choices name="c" toName="t"><Choice value="a"/></Choices>'), "at least two choices, not 1"),
        (config('<Choices name="c" toName="x"><Choice value="a"/><Choice value="b"/></Choices>'), "labels nothing"),
        (config('<Rating name="r" toName="t"/>'), "<Rating name='r'> is not supported"),
        (
            config(TWO + '<Rating name="r" toName="t"/>'),
            "has <Choices>, <Rating>",
        ),
        (
            config(TWO, '<Image name="t" value="$i"/>'),
            "labels <Image>",
        ),
        (
            config(TWO, '<Text name="t" value="fixed"/>'),
            "must name a field of the task",
        ),
        (config(TWO.replace("toName", 'perRegion="true" toName')), "regions"),
    ],
)
def test_what_is_not_supported_is_said(broken: str, sentence: str) -> None:
    with pytest.raises(UnsupportedConfigError, match=None) as refused:
        parse(broken)
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


def test_texts_of_tasks() -> None:
    spec = TaskSpec("c", "t", "body", ("a", "b"))
    assert text_of({"body": "hello"}, spec) == "hello"
    assert text_of({"body": 12}, spec) == "12"
    assert text_of({"body": None}, spec) == text_of({}, spec) == text_of("x", spec) == text_of(None, spec) == ""

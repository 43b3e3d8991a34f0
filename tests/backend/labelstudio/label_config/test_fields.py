"""Fields of a task as Label Studio's editor shows them; what Chromium says of them is in tests/browser."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.labelstudio.label_config.fields import as_text, decoded, names, value_of

DATA = {"title": "Pears", "meta": {"text": "nested", "deep": {"er": "x"}}, "items": [{"text": "first"}, "second"],
        "a.b": "literal", "a": {"b": "path"}, "n": None, "текст": "кириллица", "list": ["ONE", "TWO"]}  # fmt: skip


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("$title", "Pears"),
        ("$meta.text", "nested"),
        ("$meta.deep.er", "x"),
        ("$items[0].text", "first"),
        ("$items[1]", "second"),
        ("$a.b", "literal"),
        ("$list", ["ONE", "TWO"]),
        ("$текст", "кириллица"),
        ("$n", None),
        ("$absent", None),
        ("$meta.absent", None),
        ("$items[7].text", None),
        ("$title.text", None),
        ("Title: $title", "Title: Pears"),
        ("$title: $meta.text!", "Pears: nested!"),
        ("$list and $n", "ONE,TWO and null"),
        ("$title $absent", "Pears undefined"),
        ("[$title]", None),  # the bracket is part of the name
        ("$absent $n", None),
    ],
)
def test_names_paths_and_templates(template: str, value: Any) -> None:
    assert value_of(template, DATA) == value
    assert value_of(template, None) is None


def test_what_a_template_names() -> None:
    assert names("$a.b[0].c") == ["a.b[0].c"]
    assert names("From $from to $to") == ["from", "to"]
    assert names("Read this") == names("") == names("$") == []


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"),
        (-0.0, "0"),
        (1e21, "1e+21"),
        (1e20, "100000000000000000000"),
        (1.5e-7, "1.5e-7"),
        (0.000001, "0.000001"),
        (123456789012345678901, "123456789012345678901"),
        (True, "true"),
        (None, "null"),
        ([1, None, ["a", "b"]], "1,,a,b"),
        ({"a": 1}, "[object Object]"),
    ],
)
def test_values_as_javascript_writes_them(value: Any, text: str) -> None:
    assert as_text(value) == text


@given(st.text())
def test_encoded_texts_are_decoded(text: str) -> None:
    try:
        encoded = base64.b64encode(text.encode()).decode()
    except UnicodeEncodeError:  # half of a pair
        return
    assert decoded(encoded, "base64unicode") == text
    assert decoded(text, "") == text


def test_what_is_not_encoded_stays() -> None:
    assert decoded("SSBib3VnaHQgYSBwZWFy", "base64") == "I bought a pear"
    assert decoded("no code!", "base64") == "no code!"

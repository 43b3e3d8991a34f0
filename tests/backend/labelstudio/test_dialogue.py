"""Spans in dialogues, by turn and offset."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.labelstudio.annotations import read, values_of
from backend.labelstudio.controls.dialogue import marked, offsets, place, turns
from backend.labelstudio.label_config.inputs import text_of
from backend.labelstudio.label_config.parse import parse
from backend.labelstudio.predictions import spelled
from backend.labelstudio.unusable import Reason
from backend.targets import unmarked

CONFIG = (
    '<View><Paragraphs name="d" value="$d" nameKey="who"/>'
    '<ParagraphLabels name="l" toName="d"><Label value="A"/><Label value="B"/></ParagraphLabels></View>'
)
SPEC = parse(CONFIG)
DATA = {"d": [{"who": "Ann", "text": "Hello 😀 there"}, {"text": ""}, {"who": "Bo\nb", "text": "two\nlines é"}, "odd"]}
TEXT = text_of(DATA, SPEC)
TURNS = st.lists(st.tuples(st.text(max_size=6), st.text("ab 😀é\n\u2029:", max_size=9)), min_size=1, max_size=5)


def region(start: Any, start_offset: Any, end: Any, end_offset: Any, label: str = "A") -> dict[str, Any]:
    value = {"start": start, "startOffset": start_offset, "end": end, "endOffset": end_offset,
             "paragraphlabels": [label]}  # fmt: skip
    return {"from_name": "l", "to_name": "d", "type": "paragraphlabels", "value": value}


def test_each_turn_is_a_line_with_its_name() -> None:
    assert unmarked(TEXT) == "Ann: Hello 😀 there\n\nBo b: two\nlines é\n"
    assert [unmarked(TEXT)[start:end] for start, end in turns(TEXT)] == ["Hello 😀 there", "", "two\nlines é", ""]
    assert text_of({"d": [{"text": " "}]}, SPEC) == ""


@given(TURNS)
def test_turns_are_found_again(given_turns: list[tuple[str, str]]) -> None:
    text = marked(given_turns)
    own = [unmarked(text)[start:end] for start, end in turns(text)]
    assert own == [each.replace("\u2029", " ") for _, each in given_turns]


@given(TURNS, st.data())
def test_places_and_offsets_turn_into_each_other(given_turns: list[tuple[str, str]], data: st.DataObject) -> None:
    text = marked(given_turns)
    own = [(number, turn) for number, turn in enumerate(turns(text)) if turn.start < turn.end]
    if not own:
        return
    (_, first), (_, last) = sorted((data.draw(st.sampled_from(own)), data.draw(st.sampled_from(own))))
    start = data.draw(st.integers(first.start, first.end - 1))
    end = data.draw(st.integers(max(start, last.start) + 1, last.end))
    found = place(start, end, text)
    assert found is not None
    assert offsets(found, text) == (start, end)


def test_offsets_are_those_of_javascript() -> None:
    values = values_of({"result": [region("0", 6, "0", 8, "B"), region("0", 9, "2", 3)]}, SPEC, TEXT)
    plain = unmarked(TEXT)
    assert [(plain[start:end], name) for start, end, name in values["l"]] == [("😀", "B"), ("there\n\nBo b: two", "A")]
    made = spelled(SPEC, values, TEXT)
    assert [each["value"] for each in made] == [
        {"start": "0", "startOffset": 6, "end": "0", "endOffset": 8, "text": "😀", "paragraphlabels": ["B"]},
        {
            "start": "0",
            "startOffset": 9,
            "end": "2",
            "endOffset": 3,
            "text": "there\n\nBo b: two",
            "paragraphlabels": ["A"],
        },
    ]
    assert place(0, 3, TEXT) is None, "a name"


@pytest.mark.parametrize(
    ("places", "reason"),
    [
        ((7, 0, 7, 1), Reason.OUTSIDE),
        (("0", 0, "0", 99), Reason.OUTSIDE),
        (("0", -1, "0", 3), Reason.OUTSIDE),
        (("x", 0, "0", 3), Reason.OUTSIDE),
        ((None, 0, "0", 3), Reason.OUTSIDE),
        ((10**400, 0, "0", 3), Reason.OUTSIDE),
    ],
)
def test_places_outside_are_not_learned(places: tuple[Any, ...], reason: Reason) -> None:
    (found,) = read([{"id": 1, "result": [region(*places)]}], SPEC, TEXT)
    assert (found.values, found.unusable) == ({}, {"l": reason})

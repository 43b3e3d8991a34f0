"""A choice for each marked span: read from results, and suggested for suggested spans."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from backend.errors import UnsupportedConfigError
from backend.labelstudio.annotations import values_of
from backend.labelstudio.label_config.parse import parse
from backend.labelstudio.predictions import prediction, spelled
from backend.targets import Target

TEXT = "Ann met Bob in Rome"
LABELS = '<Labels name="l" toName="t"><Label value="Person" alias="PER"/><Label value="Place"/></Labels>'
MOOD = (
    '<Choices name="m" toName="t" perRegion="true" {}><Choice value="glad" alias="g"/><Choice value="sad"/></Choices>'
)


def config(more: str, asked: str = "") -> str:
    return f'<View><Text name="t" value="$text"/>{LABELS}{MOOD.format(asked)}{more}</View>'


SPEC = parse(config(""))


def result(*choices: tuple[str, dict[str, Any], str]) -> list[dict[str, Any]]:
    """As the editor writes it: (id, offsets, choice)."""
    marks = [("1", {"start": 0, "end": 3}, "PER"), ("2", {"start": 15, "end": 19}, "Place")]
    found = [
        {"id": i, "from_name": "l", "to_name": "t", "type": "labels", "value": {**places, "labels": [label]}}
        for i, places, label in marks
    ]
    return found + [
        {"id": i, "from_name": "m", "to_name": "t", "type": "choices", "value": {**places, "choices": [choice]}}
        for i, places, choice in choices
    ]


def test_the_choices_are_spans_of_their_own() -> None:
    assert SPEC.targets == (Target("l", "spans", ("PER", "Place")), Target("m", "spans", ("g", "sad")))
    marks = [[0, 3, "PER"], [15, 19, "Place"]]
    given = result(("1", {"start": 0, "end": 3}, "g"), ("2", {"start": 15, "end": 19}, "sad"))
    assert values_of({"result": given}, SPEC, TEXT) == {"l": marks, "m": [[0, 3, "g"], [15, 19, "sad"]]}
    assert values_of({"result": result()}, SPEC, TEXT) == {"l": marks, "m": []}
    shared = result(("2", {}, "sad"))  # imported results may not repeat the offsets
    assert values_of({"result": shared}, SPEC, TEXT)["m"] == [[15, 19, "sad"]]
    lost = result(("3", {}, "sad"))
    assert values_of({"result": lost}, SPEC, TEXT) == {"l": marks}


def test_values_become_regions_that_share_the_id_of_their_span() -> None:
    values = {"l": [[0, 3, "PER"], [15, 19, "Place"]], "m": [[15, 19, "sad"]]}
    regions = spelled(SPEC, values, TEXT)
    assert values_of({"result": regions}, SPEC, TEXT) == values
    assert [each["from_name"] for each in regions] == ["l", "l", "m"]
    assert regions[2]["id"] == regions[1]["id"]
    assert regions[2]["value"] == {"start": 15, "end": 19, "text": "Rome", "choices": ["sad"]}


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ("", [("Ann", "g"), ("Rome", "sad")]),
        ('whenLabelValue="Person"', [("Ann", "g")]),
        ('whenLabelValue="Other"', []),
    ],
)
def test_a_suggested_span_has_the_choice_that_overlaps_it_most(asked: str, shown: list[tuple[str, str]]) -> None:
    spec = parse(config("", asked))
    outputs = {
        "l/spans": np.array([[[0, 3, 0], [8, 11, 0], [15, 19, 1]]]), "l/span_probs": np.array([[0.9, 0.8, 0.7]]),
        "m/spans": np.array([[[0, 4, 0], [12, 16, 0], [16, 19, 1]]]), "m/span_probs": np.array([[0.9, 0.6, 0.8]]),
    }  # fmt: skip
    regions, confidence = prediction(spec, spec.targets, outputs, 0, TEXT)
    choices = [each for each in regions if each["from_name"] == "m"]
    assert [(each["value"]["text"], each["value"]["choices"][0]) for each in choices] == shown
    assert {each["id"] for each in choices} <= {each["id"] for each in regions if each["from_name"] == "l"}
    assert confidence == 0.6


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ('<TextArea name="x" toName="t" perRegion="true"/>', "<TextArea name='x'> has perRegion: of spans, single"),
        ('<Rating name="x" toName="t" perRegion="true"/>', "<Rating name='x'> has perRegion"),
        (MOOD.format('choice="multiple"').replace('"m"', '"x"'), "<Choices name='x'> has perRegion"),
        ('<Number name="x" toName="t" perItem="true"/>', "<Number name='x'> has perItem"),
    ],
)
def test_other_controls_of_regions_are_left_out_with_a_word(more: str, why: str) -> None:
    spec = parse(config(more))
    assert [control.name for control in spec.controls] == ["l", "m"]
    (sentence,) = spec.left_out
    assert sentence.startswith(why)


def test_without_spans_there_is_nothing_to_choose_for() -> None:
    alone = f'<View><Text name="t" value="$text"/>{MOOD.format("")}</View>'
    with pytest.raises(UnsupportedConfigError, match="has perRegion, and no <Labels> mark regions in the text"):
        parse(alone)


def test_without_learned_labels_the_choices_of_their_spans_are_left_out() -> None:
    whole = '<Choices name="x" toName="t"><Choice value="a"/><Choice value="b"/></Choices>'
    spec = parse(config(whole), ["l"])
    assert [control.name for control in spec.controls] == ["x"]
    assert spec.left_out == ("'m' has perRegion, and the <Labels> that mark its regions are not learned",)
    with pytest.raises(UnsupportedConfigError, match="'m' has perRegion"):
        parse(config(""), ["l"])

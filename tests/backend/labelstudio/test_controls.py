"""One suite over every kind of control: values ↔ regions, votes, and what is shown of outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.labelstudio.annotations import values_of
from backend.labelstudio.controls import BY_KIND, BY_TAG
from backend.labelstudio.controls.base import UnusableError
from backend.labelstudio.controls.numbers import within
from backend.labelstudio.label_config.parse import parse
from backend.labelstudio.label_config.task_spec import Control, TaskSpec
from backend.labelstudio.unusable import Reason
from backend.targets import KINDS, MARK, Target

TEXT = "a 😀 é中文\r\nline two"
CONFIGS = {
    "choices": '<Choices name="c" toName="t"><Choice value="a b"/><Choice value="中" alias="z"/></Choices>',
    "multiple": '<Choices name="c" toName="t" choice="multiple"><Choice value="a b"/><Choice value="中"/>'
    '<Choice value="d"/></Choices>',
    "taxonomy": '<Taxonomy name="c" toName="t" leafsOnly="true" maxUsages="1"><Choice value="A"><Choice value="B"/>'
    '<Choice value="中"/></Choice><Choice value="D"/></Taxonomy>',
    "one node": '<Taxonomy name="c" toName="t" maxUsages="1"><Choice value="A"><Choice value="B"/></Choice></Taxonomy>',
    "nodes": '<Taxonomy name="c" toName="t"><Choice value="A"><Choice value="B"><Choice value="C"/></Choice>'
    '<Choice value="中"/></Choice><Choice value="D"/></Taxonomy>',
    "several leaves": '<Taxonomy name="c" toName="t" leafsOnly="true"><Choice value="A"><Choice value="B"/></Choice>'
    '<Choice value="D"/></Taxonomy>',
    "rating": '<Rating name="c" toName="t" maxRating="4"/>',
    "number": '<Number name="c" toName="t" min="-2" max="9.5"/>',
    "labels": '<Labels name="c" toName="t"><Label value="PER"/><Label value="Or g" alias="ORG"/></Labels>',
    "markup": '<Labels name="c" toName="t"><Label value="PER"/><Label value="ORG"/></Labels>',
    "nested": '<Choices name="c" toName="t" allowNested="true"><Choice value="A"><Choice value="B"/>'
    '<Choice value="中"/></Choice><Choice value="D"/></Choices>',
    "several nested": '<Choices name="c" toName="t" allowNested="true" choice="multiple"><Choice value="A">'
    '<Choice value="B"/></Choice><Choice value="D"/></Choices>',
    "hypertextlabels": '<HyperTextLabels name="c" toName="t"><Label value="PER"/></HyperTextLabels>',
    "pairwise": '<Text name="u" value="$other"/><Pairwise name="c" toName="t,u"/>',
    "answers": '<TextArea name="c" toName="t"/>',
}


def spec_of(name: str) -> TaskSpec:
    shown = "HyperText" if name in ("markup", "hypertextlabels") else "Text"
    return parse(f'<View><{shown} name="t" value="$text"/>{CONFIGS[name]}</View>')


@st.composite
def spans(draw: st.DrawFn, classes: tuple[str, ...]) -> list[list[Any]]:
    places = sorted(draw(st.sets(st.integers(0, len(TEXT)), max_size=8)))
    pairs = [(a, b) for a, b in zip(places[::2], places[1::2], strict=False)]
    return [[start, end, draw(st.sampled_from(classes))] for start, end in pairs]


def values(target: Target) -> st.SearchStrategy[Any]:
    if target.kind == "generation":
        return st.text().filter(str.strip)
    if target.kind in ("classification", "pairwise"):
        return st.sampled_from(target.classes)
    if target.kind == "multilabel":
        return st.sets(st.sampled_from(target.classes)).map(
            lambda s: [c for c in target.classes if c in target.with_ancestors(s)]
        )
    if target.kind == "spans":
        return spans(target.classes)
    assert target.low is not None
    assert target.high is not None
    return st.floats(target.low, target.high).map(lambda value: within(target, value))


def test_every_kind_has_a_file_and_every_tag_a_kind() -> None:
    assert set(BY_KIND) == set(KINDS)
    assert set(BY_TAG.values()) | {"multilabel"} == set(KINDS)
    assert {spec_of(name).targets[0].kind for name in CONFIGS} == set(KINDS)


@pytest.mark.parametrize("name", CONFIGS)
@given(data=st.data())
def test_values_and_annotations_turn_into_each_other(name: str, data: st.DataObject) -> None:
    spec = spec_of(name)
    (control,) = spec.controls
    kind = BY_KIND[control.target.kind]
    value = data.draw(values(control.target))
    regions = kind.regions(control, value, TEXT)
    assert values_of({"result": regions}, spec)["c"] == value
    assert kind.regions(control, values_of({"result": regions}, spec)["c"], TEXT) == regions
    assert control.target.offers(value)
    assert kind.agreed([value]) == (pytest.approx(value) if control.target.kind == "regression" else value)


@pytest.mark.parametrize("name", CONFIGS)
def test_malformed_regions_teach_nothing_and_raise_nothing(name: str) -> None:
    spec = spec_of(name)
    shape = {"from_name": "c", "to_name": "t", "type": spec.controls[0].type}
    empty = values_of({"result": []}, spec)
    for value in (
        None, {}, "boom", [1], [[]], 5, {"choices": []}, {"choices": 5}, {"choices": True}, {"choices": [[1]]},
        {"choices": "ab"}, {"choices": {"a": 1}}, {"rating": "x"}, {"number": float("nan")}, {"number": "5"},
        {"number": 10**400}, {"number": 1e308}, {"start": "1", "end": 2}, {"start": 0, "end": 3, "labels": 5},
        {"start": -5, "end": 10**30, "labels": ["PER"]}, {"start": True, "end": 3, "labels": ["PER"]},
        {"taxonomy": 5}, {"taxonomy": [5]}, {"taxonomy": "A"}, {"text": 5}, {"text": {"a": 1}}, {"selected": []},
    ):  # fmt: skip
        found = values_of({"result": [{**shape, "value": value}]}, spec)
        assert found in (empty, {}) or not spec.targets[0].offers(found["c"]), "no class of the control"


def control_of(name: str) -> Control:
    return spec_of(name).controls[0]


def test_overlapping_spans_and_spans_of_two_classes_are_not_learned() -> None:
    control = control_of("labels")

    def region(start: int, end: int, *names: str) -> dict[str, Any]:
        return {"value": {"start": start, "end": end, "labels": list(names)}}

    kind = BY_KIND["spans"]
    for reason, regions in (
        (Reason.OVERLAP, [region(0, 4, "PER"), region(3, 5, "ORG")]),
        (Reason.SEVERAL_LABELS, [region(0, 4, "PER", "ORG")]),
        (Reason.OUTSIDE, [region(-1, 4, "PER")]),
        (Reason.OUTSIDE, [region(0, 10**30, "PER")]),
        (Reason.UNREADABLE, [{"value": {"start": "0", "end": 4, "labels": ["PER"]}}]),
    ):
        with pytest.raises(UnusableError) as raised:
            kind.value(control, regions)
        assert raised.value.reason == reason
    assert kind.value(control, [{"value": {"start": 0.0, "end": 4.0, "labels": ["PER"]}}]) == [[0, 4, "PER"]]
    assert kind.value(control, [region(4, 5, "ORG"), region(0, 4, "PER")]) == [[0, 4, "PER"], [4, 5, "ORG"]]


def test_annotators_agree_by_kind() -> None:
    assert BY_KIND["classification"].agreed(["a", "b", "b"]) == "b"
    assert BY_KIND["classification"].agreed(["a", "b"]) is None
    assert BY_KIND["multilabel"].agreed([["a", "b"], ["b"], ["b", "c"]]) == ["b"]
    assert BY_KIND["regression"].agreed([1.0, 2.0, 9.0]) == 2.0
    assert BY_KIND["pairwise"].agreed(["left", "right"]) is None
    assert BY_KIND["generation"].agreed(["one", "another", "a third"]) == "one"
    assert BY_KIND["generation"].agreed(["one", "another", "another"]) == "another"
    first, second = [0, 4, "PER"], [6, 8, "ORG"]
    assert BY_KIND["spans"].agreed([[first, second], [first], [[0, 3, "PER"]]]) == [first]


def test_outputs_are_shown_as_the_control_offers_today() -> None:
    control = control_of("multiple")
    learned = Target("c", "multilabel", ("gone", "a b", "d"), threshold=0.3)
    output = {"probs": np.array([0.9, 0.4, 0.2])}
    assert BY_KIND["multilabel"].predicted(control, learned, output, TEXT) == (["a b"], pytest.approx(0.4))

    control = control_of("rating")
    assert BY_KIND["regression"].predicted(control, control.target, {"value": np.float32(3.6)}, TEXT)[0] == 4
    assert BY_KIND["regression"].predicted(control, control.target, {"value": np.float32(99)}, TEXT)[0] == 4
    assert BY_KIND["regression"].regions(control, 4.0, TEXT)[0]["value"] == {"rating": 4}

    control = control_of("labels")
    learned = Target("c", "spans", ("gone", "PER"))
    output = {"spans": np.array([[0, 1, 0], [2, 3, 1], [0, 0, 0]]), "span_probs": np.array([0.9, 0.7, 0.0])}
    assert BY_KIND["spans"].predicted(control, learned, output, TEXT) == ([[2, 3, "PER"]], pytest.approx(0.7))
    region = BY_KIND["spans"].regions(control, [[2, 3, "PER"]], TEXT)[0]
    assert region["value"] == {"start": 2, "end": 3, "text": "😀", "labels": ["PER"]}


def test_spans_of_markup_are_counted_without_marks_and_spelled_with_global_offsets() -> None:
    control = control_of("markup")
    text = f"Ann{MARK}works{MARK}at 😀 Inc"
    (first, second) = BY_KIND["spans"].regions(control, [[0, 3, "PER"], [11, 16, "ORG"]], text)
    assert (first["value"]["text"], second["value"]["text"]) == ("Ann", "😀 Inc"[:5])
    assert second["value"]["globalOffsets"] == {"start": 11, "end": 16}
    submitted = {
        **second["value"],
        "start": "/p[3]/text()[1]",
        "end": "/p[3]/text()[1]",
        "startOffset": 3,
        "endOffset": 9,
    }
    assert BY_KIND["spans"].value(control, [{"value": submitted}]) == [[11, 16, "ORG"]]
    output = {"spans": np.array([[11, 16, 1], [16, 30, 0]]), "span_probs": np.array([0.9, 0.8])}
    assert BY_KIND["spans"].predicted(control, control.target, output, text)[0] == [[11, 16, "ORG"]]


def test_answers_and_comparisons_as_label_studio_spells_them() -> None:
    control = control_of("answers")
    kind = BY_KIND["generation"]
    assert kind.value(control, [{"value": {"text": ["first", "second"]}}]) == "first\nsecond"
    assert kind.value(control, [{"value": {"text": "one"}}]) == "one"
    assert kind.value(control, [{"value": {"text": [" "]}}]) is None
    output = {"answer": np.array([ord(each) for each in "é 😀\n."] + [0, 0]), "log_prob": np.float32(np.log(0.5))}
    assert kind.predicted(control, control.target, output, TEXT) == ("é 😀\n.", pytest.approx(0.5))
    assert kind.predicted(control, control.target, {**output, "answer": np.zeros(3, int)}, TEXT) == (None, None)

    control = control_of("pairwise")
    (region,) = BY_KIND["pairwise"].regions(control, "right", TEXT)
    assert region == {"from_name": "c", "to_name": "t", "type": "pairwise", "value": {"selected": "right"}}
    assert BY_KIND["pairwise"].value(control, [{**region, "to_name": "c"}]) == "right", "as the editor writes it"
    assert BY_KIND["pairwise"].value(control, [{**region, "value": {"selected": None}}]) is None
    for other in ("none", 3):
        with pytest.raises(UnusableError, match="unreadable"):
            BY_KIND["pairwise"].value(control, [{**region, "value": {"selected": other}}])


@given(st.floats(-100, 100))
def test_numbers_keep_to_the_range_and_the_grid(value: float) -> None:
    target = Target("n", "regression", low=-1.0, high=4.2, step=0.5)
    found = within(target, value)
    assert -1.0 <= found <= 4.2
    assert (found + 1) / 0.5 == pytest.approx(round((found + 1) / 0.5))


def test_the_end_of_a_range_can_be_reached() -> None:
    for high in (0.3, 0.6, 0.7, 1.4):
        assert within(Target("n", "regression", low=0.0, high=high, step=0.1), 9.0) == pytest.approx(high)


def test_a_tie_about_spans_or_labels_teaches_nothing() -> None:
    assert BY_KIND["spans"].agreed([[[0, 5, "A"]], [[0, 6, "A"]]]) is None
    assert BY_KIND["multilabel"].agreed([["a"], ["b"]]) is None
    assert BY_KIND["multilabel"].agreed([["a"], [], []]) == []
    assert BY_KIND["spans"].agreed([[], []]) == []


@pytest.mark.parametrize("name", CONFIGS)
def test_values_of_another_kind_are_not_offered(name: str) -> None:
    target = control_of(name).target
    for value in ("else", 3.0, ["else"], [[0, 1, "else"]], None, [[1]]):
        if (target.kind, value) not in (("regression", 3.0), ("generation", "else")):
            assert not target.offers(value)


def _taxonomy(attributes: str = "") -> Control:
    tree = '<Choice value="Online"><Choice value="UGC"/><Choice value="Paywall"><Choice value="NYT"/></Choice></Choice>'
    more = f'{tree}<Choice value="Offline"/>'
    return parse(
        f'<View><Text name="t" value="$t"/><Taxonomy name="c" toName="t" {attributes}>{more}</Taxonomy></View>'
    ).controls[0]


@pytest.mark.parametrize(
    ("chosen", "value"),
    [
        ([["Online", "UGC"], ["Offline"]], ["Online", "Online / UGC", "Offline"]),
        ([["Online"]], ["Online"]),
        ([["Online", "Paywall", "NYT"]], ["Online", "Online / Paywall", "Online / Paywall / NYT"]),
        ([["Online"], ["Online", "UGC"]], ["Online", "Online / UGC"]),
        (["Offline"], ["Offline"]),
        ([], []),
        ([["Online", "gone"]], ["Online / gone"]),  # no class: the label is not learned, and listed
    ],
)
def test_several_nodes_of_a_taxonomy_hold_those_above_them(chosen: list[Any], value: list[str]) -> None:
    control = _taxonomy()
    region = {"from_name": "c", "to_name": "t", "type": "taxonomy", "value": {"taxonomy": chosen}}
    assert BY_KIND["multilabel"].value(control, [region]) == value


def test_the_editor_splits_paths_at_the_separator_also_inside_of_a_value() -> None:
    config = '<Taxonomy name="c" toName="t" pathSeparator="-"><Choice value="e-mail"/><Choice value="post"/></Taxonomy>'
    (control,) = parse(f'<View><Text name="t" value="$t"/>{config}</View>').controls
    region = {"from_name": "c", "type": "taxonomy", "value": {"taxonomy": [["e", "mail"]]}}
    assert BY_KIND["multilabel"].value(control, [region]) == ["e-mail"]


@pytest.mark.parametrize(
    ("attributes", "probs", "paths"),
    [
        ("", [0.9, 0.2, 0.8, 0.7, 0.6], [["Online", "Paywall", "NYT"], ["Offline"]]),
        ("", [0.9, 0.2, 0.3, 0.1, 0.1], [["Online"]]),
        ('maxUsages="2"', [0.9, 0.8, 0.9, 0.9, 0.7], [["Online", "UGC"], ["Online", "Paywall", "NYT"]]),
        ('leafsOnly="true"', [0.9, 0.2, 0.6], [["Online", "UGC"], ["Offline"]]),
    ],
)
def test_suggested_nodes_are_the_deepest(attributes: str, probs: list[float], paths: list[list[str]]) -> None:
    control = _taxonomy(attributes)
    kind = BY_KIND["multilabel"]
    value, confidence = kind.predicted(control, control.target, {"probs": np.array(probs)}, "")
    assert [each["value"]["taxonomy"] for each in kind.regions(control, value, "")] == [paths]
    assert confidence is not None
    assert 0 < confidence < 1

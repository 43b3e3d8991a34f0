"""What annotations teach: majority, ties, skips, ground truth."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.labelstudio.annotations import TaskState, read, state_of, values_of
from backend.labelstudio.label_config.parse import parse

CHOICES = '<Choices name="topic" toName="text"><Choice value="a"/><Choice value="b"/><Choice value="c"/></Choices>'
TEXT = '<Text name="text" value="$text"/>'
SPEC = parse(f"<View>{TEXT}{CHOICES}</View>")


def choosing(*labels: str, **more: Any) -> dict[str, Any]:
    region = {"from_name": "topic", "to_name": "text", "type": "choices", "value": {"choices": list(labels)}}
    return {"result": [region], "was_cancelled": False, **more}


SKIP = {"result": [], "was_cancelled": True}
EMPTY = {"result": [], "was_cancelled": False}


@pytest.mark.parametrize(
    ("annotations", "state"),
    [
        ([], TaskState(1, {}, False, False)),
        ([SKIP], TaskState(1, {}, False, True)),
        ([EMPTY], TaskState(1, {}, True, False)),
        ([choosing("a")], TaskState(1, {"topic": "a"}, True, False)),
        ([choosing("a"), SKIP], TaskState(1, {"topic": "a"}, True, True)),
        ([choosing("a"), choosing("b")], TaskState(1, {}, True, False)),
        ([choosing("a"), choosing("b"), choosing("b")], TaskState(1, {"topic": "b"}, True, False)),
        ([choosing("a"), choosing("b"), EMPTY], TaskState(1, {}, True, False)),
        (
            [choosing("a"), choosing("b", ground_truth=True), choosing("a")],
            TaskState(1, {"topic": "b"}, True, False, True),
        ),
        ([choosing("a", was_cancelled=True), choosing("b")], TaskState(1, {"topic": "b"}, True, True)),
        ([choosing("a", "b")], TaskState(1, {}, True, False)),
    ],
)
def test_states(annotations: list[dict[str, Any]], state: TaskState) -> None:
    assert state_of(1, annotations, SPEC) == state


def test_other_controls_and_malformed_results_teach_nothing() -> None:
    other = {"from_name": "else", "type": "choices", "value": {"choices": ["a"]}}
    for result in ([other], None, [{"from_name": "topic", "type": "choices"}], [{}]):
        assert values_of({"result": result}, SPEC) == {}


@given(st.lists(st.sampled_from("abc"), max_size=9), st.randoms())
def test_the_order_of_annotations_does_not_matter(labels: list[str], rng: Any) -> None:
    annotations = [choosing(label) for label in labels]
    expected = state_of(1, annotations, SPEC)
    rng.shuffle(annotations)
    assert state_of(1, annotations, SPEC) == expected
    if winner := expected.values.get("topic"):
        assert all(labels.count(winner) > labels.count(x) for x in set(labels) - {winner})


def test_several_controls_teach_each_for_itself_and_hidden_ones_nothing() -> None:
    hidden = (
        '<Choices name="why" toName="text" visibleWhen="choice-selected" whenTagName="topic" whenChoiceValue="b,c">'
        '<Choice value="x"/><Choice value="y"/></Choices><Rating name="stars" toName="text"/>'
    )
    spec = parse(f"<View>{TEXT}{CHOICES}{hidden}</View>")

    def annotation(topic: str, stars: int) -> dict[str, Any]:
        why = {"from_name": "why", "to_name": "text", "type": "choices", "value": {"choices": ["x"]}}
        rating = {"from_name": "stars", "to_name": "text", "type": "rating", "value": {"rating": stars}}
        return {"result": [*choosing(topic)["result"], why, rating]}

    assert values_of(annotation("a", 3), spec) == {"topic": "a", "stars": 3.0}
    assert values_of(annotation("b", 3), spec) == {"topic": "b", "why": "x", "stars": 3.0}
    both = state_of(1, [annotation("b", 3), annotation("c", 5), annotation("c", 4)], spec)
    assert both.values == {"topic": "c", "why": "x", "stars": 4.0}


@pytest.mark.parametrize(
    ("took", "seconds"),
    [
        (3.5, 3.5),
        (0, 0.0),
        (None, None),
        (-1, None),
        (True, None),
        ("9", None),
        (float("inf"), None),
        (10**400, 1800.0),
    ],
)
def test_time_is_what_somebody_may_have_worked(took: object, seconds: float | None) -> None:
    (each,) = read([{**choosing("a"), "id": 4, "completed_by": {"id": 2}, "lead_time": took}], SPEC)
    same = {"id": 4, "annotator": 2, "skipped": False, "labels": {"topic": "a"}, "unusable": None}
    assert each.columns() == {**same, "seconds": seconds}


def test_whoever_is_not_known_is_nobody() -> None:
    for who in (None, "ann", {"email": "a@example.com"}):
        (each,) = read([{**choosing("a"), "id": 4, "completed_by": who, "was_cancelled": True}], SPEC)
        assert (each.annotator, each.skipped, each.values) == (None, True, {})


def test_labels_count_by_how_often_their_annotators_agree_with_others() -> None:
    def state(trust: dict[str, dict[str, float]], *given: tuple[int, str], truth: int | None = None) -> Any:
        annotations = [choosing(name, id=who, completed_by=who, ground_truth=who == truth) for who, name in given]
        return state_of(1, annotations, SPEC, "a text", trust).values.get("topic")

    trust = {"topic": {"1": 0.9, "2": 0.3, "3": 0.3, "4": 0.85}}
    assert state({}, (1, "a"), (2, "b")) is None
    assert state(trust, (1, "a"), (2, "b")) == "a"
    assert state(trust, (1, "a"), (2, "b"), (3, "b")) == "a", "one who is mostly right outweighs two"
    assert state(trust, (1, "a"), (4, "b")) is None, "nearly the same weight"
    assert state(trust, (1, "a"), (2, "b"), truth=2) == "b", "ground truth decides alone"
    assert state(trust, (2, "b")) == "b"
    assert state(trust, (9, "a"), (2, "b")) == "a", "a new annotator counts as an average one"
    assert state({"other": {"1": 1.0}}, (1, "a"), (2, "b")) is None

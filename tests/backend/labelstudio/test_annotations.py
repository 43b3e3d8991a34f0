"""What annotations teach: majority, ties, skips, ground truth."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.labelstudio.annotations import TaskState, label_of, state_of
from backend.labelstudio.label_config import TaskSpec

SPEC = TaskSpec("topic", "text", "text", ("a", "b", "c"))


def choosing(*labels: str, **more: Any) -> dict[str, Any]:
    region = {"from_name": "topic", "to_name": "text", "type": "choices", "value": {"choices": list(labels)}}
    return {"result": [region], "was_cancelled": False, **more}


SKIP = {"result": [], "was_cancelled": True}
EMPTY = {"result": [], "was_cancelled": False}


@pytest.mark.parametrize(
    ("annotations", "state"),
    [
        ([], TaskState(1, None, False, False)),
        ([SKIP], TaskState(1, None, False, True)),
        ([EMPTY], TaskState(1, None, True, False)),
        ([choosing("a")], TaskState(1, "a", True, False)),
        ([choosing("a"), SKIP], TaskState(1, "a", True, True)),
        ([choosing("a"), choosing("b")], TaskState(1, None, True, False)),
        ([choosing("a"), choosing("b"), choosing("b")], TaskState(1, "b", True, False)),
        ([choosing("a"), choosing("b"), EMPTY], TaskState(1, None, True, False)),
        ([choosing("a"), choosing("b", ground_truth=True), choosing("a")], TaskState(1, "b", True, False)),
        ([choosing("a", was_cancelled=True), choosing("b")], TaskState(1, "b", True, True)),
        ([choosing("a", "b")], TaskState(1, None, True, False)),
    ],
)
def test_states(annotations: list[dict[str, Any]], state: TaskState) -> None:
    assert state_of(1, annotations, SPEC) == state


def test_other_controls_and_malformed_results_teach_nothing() -> None:
    other = {"from_name": "else", "type": "choices", "value": {"choices": ["a"]}}
    for result in ([other], None, [{"from_name": "topic", "type": "choices"}], [{}]):
        assert label_of({"result": result}, SPEC) is None


@given(st.lists(st.sampled_from("abc"), max_size=9), st.randoms())
def test_the_order_of_annotations_does_not_matter(labels: list[str], rng: Any) -> None:
    annotations = [choosing(label) for label in labels]
    expected = state_of(1, annotations, SPEC)
    rng.shuffle(annotations)
    assert state_of(1, annotations, SPEC) == expected
    if expected.label is not None:
        assert all(labels.count(expected.label) > labels.count(x) for x in set(labels) - {expected.label})

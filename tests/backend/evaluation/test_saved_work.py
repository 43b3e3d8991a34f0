"""How much of what a model suggests is right."""

from __future__ import annotations

from typing import Any

import pytest

from backend.evaluation.saved_work import Suggested, suggested
from backend.targets import Target

SPANS, MANY, TEXT = (Target("x", kind, ("a", "b")) for kind in ("spans", "multilabel", "generation"))


@pytest.mark.parametrize(
    ("target", "truth", "predicted", "right", "given"),
    [
        (SPANS, [[[0, 3, "a"], [5, 7, "b"]]], [[[0, 3, "a"], [5, 8, "b"], [9, 11, "a"]]], 1, 3),
        (SPANS, [[[0, 3, "a"]], []], [[[0, 3, "b"]], []], 0, 1),
        (MANY, [["a"], ["a", "b"], []], [["a", "b"], ["a", "b"], []], 3, 4),
        (MANY, [["a"]], [None], 0, 0),
        (TEXT, ["yes", "no"], ["yes", None], 1, 1),
        (SPANS, [], [], 0, 0),
    ],
)
def test_suggested_parts_and_right_ones_are_counted(
    target: Target, truth: list[Any], predicted: list[Any], right: int, given: int
) -> None:
    assert suggested(target, truth, predicted) == Suggested(right, given)


def test_suggestions_save_work_if_half_of_at_least_ten_are_right() -> None:
    assert not Suggested(9, 9).save_work
    assert (Suggested(2, 5) + Suggested(3, 5)).save_work
    assert not Suggested(14, 355).save_work

"""What Label Studio gets of a queue: scores that are places, which nobody takes for a confidence."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from backend.rounds.context import Context
from backend.rounds.steps.publish import predictions
from backend.store import Store
from tests.backend.rounds.test_rounds import fill
from tests.backend.steps import opened, play


@pytest.mark.parametrize(("count", "first", "last"), [(60, 0.001, 0.06), (1000, 0.001, 1.0), (1001, 1e-6, 0.001001)])
def test_a_score_is_the_place_in_the_queue(
    context: Context, store: Store, tiny_encoder: Any, count: int, first: float, last: float
) -> None:
    fill(store, tiny_encoder, 20, 12)
    play(context, 1)
    items: Any = [SimpleNamespace(task_id=number, audit=True) for number in range(count)]
    scores = [each["score"] for each in predictions(opened(context, version=1), "p7-a1-q1", items)]
    assert scores == sorted(set(scores)), "Label Studio serves the lowest first, and two are never equal"
    assert (scores[0], scores[-1]) == (pytest.approx(first), pytest.approx(last))
    assert max(scores) <= 1

"""The comparison of chosen with random labels, where the answer is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from backend.evaluation.control_arm import _first, compare


def world(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(count, 10)).astype(np.float32)
    return vectors, (vectors[:, 0] + 0.5 * vectors[:, 1] > 0).astype(np.int64)


def fit(vectors: np.ndarray, targets: np.ndarray) -> Any:
    if len(set(targets.tolist())) == 1:
        return lambda others: np.full(len(others), targets[0])
    return LogisticRegression(C=100.0).fit(vectors, targets).predict


def test_random_labels_on_both_sides_save_nothing_in_nineteen_projects_of_twenty() -> None:
    held = []
    for seed in range(60):
        found = compare(world(100, seed), world(120, seed + 1000), fit)
        assert found is not None
        assert found["labels"] == 60
        held.append(found["better"][0] <= 0 <= found["better"][1])
        assert "needed" not in found or found["better"][0] > 0
    assert np.mean(held) > 0.85


def test_labels_near_the_border_teach_more() -> None:
    vectors, targets = world(20_000, 0)
    hard = np.argsort(abs(vectors[:, 0] + 0.5 * vectors[:, 1]))[:400]
    hard = np.random.default_rng(0).permutation(hard)
    found = compare((vectors[hard], targets[hard]), world(120, 1), fit)
    assert found is not None
    assert found["better"][0] > 0
    assert found["needed_interval"][1] < found["labels"] == 60
    assert compare((vectors[hard[:59]], targets[hard[:59]]), world(120, 1), fit) is None, "fewer than random ones teach"


def test_below_a_hundred_held_out_labels_it_is_not_yet_known() -> None:
    assert compare(world(200, 0), world(99, 1), fit) is None


@pytest.mark.parametrize(
    ("curve", "first"),
    [([-0.2, -0.1, 0.1], 25.0), ([0.1, 0.2, 0.3], 10.0), ([-0.2, 0.0, 0.1], 20.0), ([-0.1, -0.3, 0.1], 27.5)],
)
def test_where_a_curve_first_reaches_zero(curve: list[float], first: float) -> None:
    assert _first(np.array([10, 20, 30]), np.array(curve)) == pytest.approx(first)

"""What one view lends the other."""

from __future__ import annotations

import numpy as np

from backend.rounds.selection.co_training import surest


def test_the_surest_in_the_classes_proportions() -> None:
    probs = np.array([[0.99, 0.01, 0], [0.97, 0.03, 0], [0.98, 0.02, 0], [0.04, 0.96, 0], [0.6, 0.4, 0], [0, 0, 1.0]])
    rows, classes = surest(probs, np.array([20, 10, 0]), 3, 0.95)  # at most 2 and 1, and none of the third
    assert rows.tolist() == [0, 2, 3]
    assert classes.tolist() == [0, 0, 1]


def test_nothing_sure_nothing_lent() -> None:
    rows, classes = surest(np.full((5, 2), 0.5), np.array([1, 1]), 4, 0.95)
    assert (len(rows), len(classes)) == (0, 0)
    rows, _ = surest(np.empty((0, 2)), np.array([1, 1]), 4, 0.95)
    assert len(rows) == 0


def test_rounded_shares_never_add_up_to_more_than_asked() -> None:
    probs = np.repeat(np.eye(3), 5, axis=0) * 0.9 + 0.05
    rows, _ = surest(probs, np.array([1, 1, 1]), 5, 0.5)
    assert len(rows) == 5


def test_many_classes_get_their_turn() -> None:
    probs = np.repeat(np.eye(77), 2, axis=0) * 0.9 + 0.1 / 77
    rows, classes = surest(probs, np.ones(77), 30, 0.5)
    assert len(rows) == len(set(classes.tolist())) == 30

"""Classes with few labels come first, and not one of them alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import strategies
from strategies import Pool, PoolError
from strategies.rare import lacking


def slow(probs: np.ndarray, counts: list[float], k: int) -> list[int]:
    """As the words of the docstring say it."""
    chosen: list[int] = []
    for _ in range(k):
        best, place = -1.0, -1
        for row in range(len(probs)):
            first, second = sorted(probs[row])[::-1][:2]
            score = sum(p / (1 + n) for p, n in zip(probs[row], counts, strict=True)) * (1 - (first - second))
            if row not in chosen and score > best:
                best, place = score, row
        chosen.append(place)
        counts = [n + p for n, p in zip(counts, probs[place], strict=True)]
    return chosen


@given(st.integers(0, 2**31), st.integers(2, 5), st.integers(1, 12))
def test_it_is_what_counting_out_gives(seed: int, classes: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    probs, counts = rng.dirichlet(np.ones(classes), 12), rng.integers(0, 9, classes)
    rows, scores = lacking(probs, counts, k, rng)
    assert rows.tolist() == slow(probs, counts.tolist(), k)
    assert (np.diff(scores) <= 1e-12).all()


def test_it_asks_for_rare_classes_and_turns_to_the_next_when_they_are_served() -> None:
    probs = np.repeat([[0.5, 0.4, 0.1, 0.0], [0.0, 0.1, 0.5, 0.4]], 20, axis=0)
    pool = Pool(size=40, probs=probs, class_counts=np.array([50, 50, 2, 0]))
    chosen = strategies.get("rare").select(pool, 12, np.random.default_rng(0)).indices
    assert (chosen >= 20).all()
    even = Pool(size=40, probs=probs, class_counts=np.array([1, 1, 1, 1]))
    chosen = strategies.get("rare").select(even, 12, np.random.default_rng(0)).indices
    assert 5 <= (chosen >= 20).sum() <= 7


def test_counts_of_other_classes_are_refused() -> None:
    pool = Pool(size=2, probs=np.full((2, 3), 1 / 3), class_counts=np.zeros(2))
    with pytest.raises(PoolError, match=r"class_counts has 2 classes; pool\.probs has 3"):
        strategies.get("rare").select(pool, 1, np.random.default_rng(0))

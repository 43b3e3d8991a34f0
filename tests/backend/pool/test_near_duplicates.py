"""Near-duplicates are found as by a plain loop."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from backend.pool import near_duplicates
from backend.pool.near_duplicates import leaders


def plain(unit: NDArray[Any], similarity: float) -> list[int]:
    """One text after another, each with all before it that lead."""
    found: list[int] = []
    for row in range(len(unit)):
        leading = [other for other in range(row) if found[other] == other]
        best = max(leading, key=lambda other: float(unit[row] @ unit[other]), default=row)
        found.append(best if best != row and unit[row] @ unit[best] >= similarity else row)
    return found


def slow(vectors: NDArray[Any], similarity: float) -> list[int]:
    """The mean is that of texts that are closer to each other than a tenth of what others are."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    far = 1 - np.quantile([a @ b for row, a in enumerate(unit) for b in unit[:row]], 0.01)
    different = [row for row, leader in enumerate(plain(unit, 1 - 0.1 * far)) if row == leader]
    moved = vectors - vectors[different].mean(axis=0)
    return plain(moved / np.linalg.norm(moved, axis=1, keepdims=True), similarity)


@pytest.mark.parametrize("block", [1, 3, 512])
@given(seed=st.integers(0, 10_000), texts=st.integers(2, 30), originals=st.integers(1, 8))
@settings(max_examples=60)
def test_each_repeats_the_most_similar_earlier_text_that_repeats_none(
    block: int, seed: int, texts: int, originals: int
) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(originals, 6))[rng.integers(originals, size=texts)] + 0.15 * rng.normal(size=(texts, 6))
    assume(len(np.unique(vectors.round(1), axis=0)) > 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(near_duplicates, "_BLOCK", block)
        assert leaders(vectors, 0.9).tolist() == slow(vectors, 0.9)


def test_a_common_direction_makes_nothing_similar() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(50, 20)) + 100
    assert leaders(vectors, 0.95).tolist() == list(range(50))
    assert leaders(np.vstack([vectors, vectors[3] + 1e-4]), 0.95)[-1] == 3


def test_no_text_and_one_text() -> None:
    assert leaders(np.empty((0, 0)), 0.95).tolist() == []
    assert leaders(np.ones((1, 4)), 0.95).tolist() == [0]


@pytest.mark.parametrize("share", [0.1, 0.6, 0.99])
def test_a_template_of_most_texts_is_found(share: float) -> None:
    rng = np.random.default_rng(0)
    often = int(1000 * share)
    template = rng.normal(size=40) + 0.03 * rng.normal(size=(often, 40))
    found = leaders(np.vstack([template, rng.normal(size=(1000 - often, 40))]), 0.95)
    assert (found[1:often] == 0).mean() > 0.95
    assert (found[often:] == np.arange(often, 1000)).all()


def test_texts_that_are_all_the_same_repeat_the_first() -> None:
    assert leaders(np.ones((3, 4)), 0.95).tolist() == [0, 0, 0]

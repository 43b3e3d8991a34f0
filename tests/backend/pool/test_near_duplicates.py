"""Near-duplicates are found as by a plain loop."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from backend.pool import near_duplicates
from backend.pool.near_duplicates import leaders


def slow(vectors: NDArray[Any], similarity: float) -> list[int]:
    """One text after another, each with all before it that lead."""
    unit = vectors - vectors.mean(axis=0)
    unit = unit / np.linalg.norm(unit, axis=1, keepdims=True)
    found: list[int] = []
    for row in range(len(unit)):
        leading = [other for other in range(row) if found[other] == other]
        best = max(leading, key=lambda other: float(unit[row] @ unit[other]), default=row)
        found.append(best if best != row and unit[row] @ unit[best] >= similarity else row)
    return found


@pytest.mark.parametrize("block", [1, 3, 512])
@given(seed=st.integers(0, 10_000), texts=st.integers(2, 30), originals=st.integers(1, 8))
@settings(max_examples=60)
def test_each_repeats_the_most_similar_earlier_text_that_repeats_none(
    block: int, seed: int, texts: int, originals: int
) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(originals, 6))[rng.integers(originals, size=texts)] + 0.15 * rng.normal(size=(texts, 6))
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

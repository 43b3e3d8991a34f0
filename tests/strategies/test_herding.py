"""max_herding and uncertainty_herding against greedy selection by the definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import strategies
from strategies import Pool, StrategyOptionError
from strategies.max_herding import coverage, herd

Rows = list[list[float]]
SIGMA = 0.6


def unit_vectors(size: int, dimensions: int, seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(size, dimensions))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def near(a: list[float], b: list[float]) -> float:
    return math.exp(-math.fsum((x - y) ** 2 for x, y in zip(a, b, strict=True)) / SIGMA**2)


def covered(centers: Rows, points: Rows, weights: list[float]) -> float:
    """Σ weight · largest kernel value with a center."""
    return math.fsum(
        weight * max((near(center, point) for center in centers), default=0.0)
        for point, weight in zip(points, weights, strict=True)
    )


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 25), st.integers(2, 5), st.integers(0, 4), st.integers(0, 1000))
def test_each_selection_adds_most_coverage(size: int, dimensions: int, labeled: int, seed: int) -> None:
    points, centers = unit_vectors(size, dimensions, seed), unit_vectors(labeled, dimensions, seed + 1)
    weights = np.random.default_rng(seed).random(size)
    k = min(8, size)
    chosen, gains = herd(points, points, weights, coverage(points, centers, SIGMA), SIGMA, k)
    taken = centers.tolist()
    for place in range(k):
        before = covered(taken, points.tolist(), weights.tolist())
        gain = {
            row: covered([*taken, points[row].tolist()], points.tolist(), weights.tolist()) - before
            for row in range(size)
            if row not in chosen[:place]
        }
        assert gain[chosen[place]] == pytest.approx(max(gain.values()), abs=1e-9)
        assert gains[place] == pytest.approx(max(gain.values()), abs=1e-9)
        taken.append(points[chosen[place]].tolist())
    assert len(set(chosen.tolist())) == k


def groups() -> np.ndarray:
    """30 vectors around each of 4 axes."""
    rng = np.random.default_rng(0)
    return np.concatenate([np.eye(4)[group] + 0.05 * rng.normal(size=(30, 4)) for group in range(4)])


def test_groups_without_labels_are_covered_one_by_one() -> None:
    rows = groups()
    pool = Pool(size=len(rows), embeddings=rows, labeled_embeddings=rows[:1])
    chosen = strategies.get("max_herding").select(pool, 3, np.random.default_rng(0)).indices
    assert sorted(chosen // 30) == [1, 2, 3]


def test_only_what_the_model_is_unsure_of_is_covered() -> None:
    rows = groups()
    probs = np.tile([1.0, 0.0], (len(rows), 1))
    probs[60:90] = 0.5
    pool = Pool(size=len(rows), embeddings=rows, labeled_embeddings=rows[:0], probs=probs)
    chosen = strategies.get("uncertainty_herding").select(pool, 3, np.random.default_rng(0))
    assert chosen.indices[0] // 30 == 2
    assert chosen.scores[0] > 100 * chosen.scores[1] > 0
    evenly = Pool(size=len(rows), embeddings=rows, labeled_embeddings=rows[:0], probs=np.full((len(rows), 2), 0.5))
    first = strategies.get("uncertainty_herding").select(evenly, 4, np.random.default_rng(0)).indices
    assert sorted(first // 30) == [0, 1, 2, 3]


def test_a_sample_stands_for_a_large_pool() -> None:
    rows = unit_vectors(500, 6, 0)
    pool = Pool(size=500, embeddings=rows, labeled_embeddings=rows[:5])
    few = strategies.get("max_herding", max_candidates=20, max_references=100)
    chosen = few.select(pool, 30, np.random.default_rng(0)).indices
    assert len(set(chosen.tolist())) == 30
    with pytest.raises(StrategyOptionError, match="sigma must be above 0"):
        strategies.get("uncertainty_herding", sigma=0.0)

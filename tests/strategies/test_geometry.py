"""core_set, badge, cal, prob_cover and density_weighted against the slowest and plainest way to the same numbers."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import strategies
from strategies import Pool, PoolError, StrategyOptionError
from strategies.badge import k_means_plus_plus
from strategies.cal import contrast
from strategies.core_set import k_center
from strategies.density_weighted import mean_similarity, neighbor_similarity
from strategies.distances import to_nearest
from strategies.prob_cover import radius

Rows = list[list[float]]


def rows_of(size: int, dimensions: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(size, dimensions))


def distance(a: list[float], b: list[float]) -> float:
    return math.sqrt(math.fsum((x - y) ** 2 for x, y in zip(a, b, strict=True)))


def cosine(a: list[float], b: list[float]) -> float:
    dot = math.fsum(x * y for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(math.fsum(x * x for x in a)) / math.sqrt(math.fsum(x * x for x in b))


# --- core_set ---------------------------------------------------------------------------------------------------------


def slow_k_center(rows: Rows, centers: Rows, k: int) -> tuple[list[int], list[float]]:
    chosen: list[int] = []
    distances = []
    for _ in range(k):
        far = {
            i: min(distance(row, c) for c in [*centers, *(rows[j] for j in chosen)])
            for i, row in enumerate(rows)
            if i not in chosen
        }
        best = max(far, key=far.__getitem__)
        chosen.append(best)
        distances.append(far[best])
    return chosen, distances


@settings(max_examples=30)
@given(st.integers(2, 60), st.integers(1, 5), st.integers(0, 1000))
def test_k_center_is_the_greedy_one(size: int, dimensions: int, seed: int) -> None:
    rows, centers = rows_of(size, dimensions, seed), rows_of(3, dimensions, seed + 1)
    k = min(25, size)
    indices, distances = k_center(rows, centers, k, np.random.default_rng(0))
    wanted, of_wanted = slow_k_center(rows.tolist(), centers.tolist(), k)
    assert indices.tolist() == wanted
    np.testing.assert_allclose(distances, of_wanted, rtol=1e-6, atol=1e-7)


def test_k_center_in_single_precision_covers_as_well() -> None:
    rows = rows_of(3000, 32).astype(np.float32)
    indices, distances = k_center(rows, rows[:5], 60, np.random.default_rng(0))
    _, exact = k_center(rows.astype(np.float64), rows[:5].astype(np.float64), 60, np.random.default_rng(0))
    np.testing.assert_allclose(distances, exact, rtol=1e-4)
    assert (np.diff(distances) <= 1e-5).all()
    assert not set(indices) & set(range(5))


def test_k_center_without_centers_begins_anywhere() -> None:
    firsts = {int(k_center(rows_of(20, 2), np.empty((0, 2)), 3, np.random.default_rng(s))[0][0]) for s in range(30)}
    assert len(firsts) > 5


def test_core_set_works_in_the_models_own_space_if_asked() -> None:
    rows, labeled = rows_of(30, 4), rows_of(4, 4, 1)
    pool = Pool(size=30, features=rows, labeled_features=labeled)
    strategy = strategies.get("core_set", space="features")
    assert strategy.requires == {"features", "labeled_features"}
    chosen = strategy.select(pool, 5, np.random.default_rng(0)).indices.tolist()
    assert chosen == slow_k_center(rows.tolist(), labeled.tolist(), 5)[0]
    with pytest.raises(StrategyOptionError, match="space must be one of embeddings, features"):
        strategies.get("core_set", space="labels")


def test_distances_to_the_nearest_in_blocks() -> None:
    rows, centers = rows_of(40_000, 3).astype(np.float32), rows_of(7, 3, 1).astype(np.float32)
    found = to_nearest(rows, centers)
    for i in (0, 16_383, 16_384, 39_999):
        assert found[i] == pytest.approx(min(distance(rows[i].tolist(), c) for c in centers.tolist()) ** 2, rel=1e-4)


# --- badge ------------------------------------------------------------------------------------------------------------


def gradients(probs: np.ndarray, features: np.ndarray) -> Rows:
    """(p − onehot(ŷ)) ⊗ h, written down."""
    found = []
    for p, h in zip(probs.tolist(), features.tolist(), strict=True):
        best = p.index(max(p))
        found.append([(pc - (c == best)) * hd for c, pc in enumerate(p) for hd in h])
    return found


def test_badge_draws_with_the_probabilities_of_k_means_plus_plus() -> None:
    """Every draw's stated probability is the plain one, given the draws before it."""
    probs = np.random.default_rng(0).dirichlet(np.ones(3), size=25)
    features = rows_of(25, 4)
    written = gradients(probs, features)
    for seed in range(20):
        chosen = strategies.get("badge").select(
            Pool(size=25, probs=probs, features=features), 12, np.random.default_rng(seed)
        )
        order = chosen.indices.tolist()
        assert order[0] == max(range(25), key=lambda i: math.hypot(*written[i]))
        assert chosen.probabilities is not None
        for position in range(1, 12):
            squared = [min(distance(g, written[j]) ** 2 for j in order[:position]) for g in written]
            wanted = squared[order[position]] / math.fsum(squared)
            assert chosen.probabilities[position] == pytest.approx(wanted, rel=1e-6)
            assert chosen.scores[position] == pytest.approx(math.sqrt(squared[order[position]]), rel=1e-6)


def test_badge_draws_as_often_as_it_says() -> None:
    """Drawing several ahead and accepting some must not change the distribution: χ² over the second and third draw."""
    probs = np.random.default_rng(1).dirichlet(np.ones(3), size=6)
    features = rows_of(6, 3, 1)
    residuals = probs - np.eye(3)[probs.argmax(axis=1)]
    written = gradients(probs, features)
    rng = np.random.default_rng(0)
    draws = 6000
    seen = Counter(tuple(k_means_plus_plus(residuals, features, 3, rng)[0].tolist()) for _ in range(draws))
    first = max(range(6), key=lambda i: math.hypot(*written[i]))
    statistic = 0.0
    outcomes = 0
    for second in range(6):
        squared = [distance(g, written[first]) ** 2 for g in written]
        chance_of_second = squared[second] / math.fsum(squared)
        for third in range(6):
            nearest = [min(s, distance(g, written[second]) ** 2) for s, g in zip(squared, written, strict=True)]
            expected = draws * chance_of_second * nearest[third] / (math.fsum(nearest) or 1)
            if expected > 5:
                statistic += (seen[first, second, third] - expected) ** 2 / expected
                outcomes += 1
    assert outcomes >= 10
    assert statistic < outcomes + 4 * math.sqrt(2 * outcomes)


def test_badge_takes_what_is_left_when_all_gradients_are_equal() -> None:
    pool = Pool(size=6, probs=np.tile([0.7, 0.3], (6, 1)), features=np.ones((6, 3)))
    chosen = strategies.get("badge").select(pool, 6, np.random.default_rng(0))
    assert sorted(chosen.indices.tolist()) == list(range(6))
    assert np.isfinite(chosen.probabilities).all()  # type: ignore[arg-type]


# --- cal --------------------------------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(st.integers(1, 40), st.integers(1, 15), st.integers(1, 12), st.integers(0, 1000))
def test_cal_against_a_plain_loop(size: int, labeled: int, neighbors: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    probs, of_labeled = rng.dirichlet(np.ones(3), size=size), rng.dirichlet(np.ones(3), size=labeled)
    features, features_of_labeled = rows_of(size, 4, seed), rows_of(labeled, 4, seed + 1)
    found = contrast(probs, features, of_labeled, features_of_labeled, neighbors)
    for i in range(size):
        near = sorted(range(labeled), key=lambda j: distance(features[i].tolist(), features_of_labeled[j].tolist()))
        divergences = [
            math.fsum(p * math.log(p / q) for p, q in zip(of_labeled[j].tolist(), probs[i].tolist(), strict=True))
            for j in near[:neighbors]
        ]
        assert found[i] == pytest.approx(math.fsum(divergences) / len(divergences), rel=1e-6, abs=1e-9)


def test_cal_without_labels_or_with_zeros_is_finite() -> None:
    hard = np.eye(3)
    assert contrast(hard, rows_of(3, 2), np.empty((0, 3)), np.empty((0, 2)), 10).tolist() == [0, 0, 0]
    assert np.isfinite(contrast(hard, rows_of(3, 2), hard, rows_of(3, 2, 1), 10)).all()


# --- prob_cover -------------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.integers(5, 40), st.floats(0.2, 1.2), st.integers(0, 1000))
def test_prob_cover_is_the_greedy_cover(size: int, delta: float, seed: int) -> None:
    rows, labeled = rows_of(size, 3, seed), rows_of(2, 3, seed + 1)
    pool = Pool(size=size, embeddings=rows, labeled_embeddings=labeled)
    k = min(8, size)
    chosen = strategies.get("prob_cover", delta=delta).select(pool, k, np.random.default_rng(seed))
    unit = [[x / math.hypot(*row) for x in row] for row in rows.tolist()]
    unit_labeled = [[x / math.hypot(*row) for x in row] for row in labeled.tolist()]
    covered = {i for i, row in enumerate(unit) if any(distance(row, other) <= delta for other in unit_labeled)}
    taken: set[int] = set()
    for index, score in zip(chosen.indices.tolist(), chosen.scores.tolist(), strict=True):
        gains = {
            i: len({j for j, other in enumerate(unit) if distance(row, other) <= delta} - covered)
            for i, row in enumerate(unit)
            if i not in taken
        }
        assert gains[index] == max(gains.values())
        assert score == pytest.approx(gains[index] / size)
        taken.add(index)
        covered |= {j for j, other in enumerate(unit) if distance(unit[index], other) <= delta}


def test_prob_cover_finds_the_radius_that_separates_groups() -> None:
    groups = np.repeat(np.eye(3), 30, axis=0) + np.random.default_rng(0).normal(scale=0.02, size=(90, 3))
    rows = groups / np.linalg.norm(groups, axis=1, keepdims=True)
    assert 0.5 < radius(rows, 3, 0.95, np.random.default_rng(0)) < math.sqrt(2)
    pool = Pool(size=90, embeddings=groups, labeled_embeddings=np.empty((0, 3)))
    chosen = strategies.get("prob_cover", clusters=3).select(pool, 3, np.random.default_rng(0))
    assert set(chosen.indices // 30) == {0, 1, 2}
    assert chosen.scores.sum() > 0.95


def test_prob_cover_of_a_large_pool_looks_at_a_part() -> None:
    pool = Pool(size=500, embeddings=rows_of(500, 4), labeled_embeddings=np.empty((0, 4)))
    chosen = strategies.get("prob_cover", max_candidates=50).select(pool, 60, np.random.default_rng(0))
    assert len(set(chosen.indices.tolist())) == 60


# --- density_weighted -------------------------------------------------------------------------------------------------


def test_densities_against_plain_loops() -> None:
    rows = rows_of(30, 4)
    listed = rows.tolist()
    for i, found in enumerate(mean_similarity(rows)):
        assert found == pytest.approx(math.fsum(cosine(listed[i], other) for other in listed) / 30)
    for i, found in enumerate(neighbor_similarity(rows, rows, 5)):
        others = sorted((cosine(listed[i], other) for j, other in enumerate(listed) if j != i), reverse=True)
        assert found == pytest.approx(math.fsum(others[:5]) / 5)


def test_the_score_is_the_base_score_times_the_density_to_a_power() -> None:
    rows = abs(rows_of(20, 4))
    probs = np.random.default_rng(0).dirichlet(np.ones(3), size=20)
    pool = Pool(size=20, embeddings=rows, probs=probs)
    chosen = strategies.get("density_weighted", base="margin", beta=2.0).select(pool, 20, np.random.default_rng(0))
    for index, score in zip(chosen.indices.tolist(), chosen.scores.tolist(), strict=True):
        ordered = sorted(probs[index].tolist())
        density = math.fsum(cosine(rows[index].tolist(), other) for other in rows.tolist()) / 20
        assert score == pytest.approx((1 - ordered[-1] + ordered[-2]) * density**2)


def test_an_outlier_loses_to_a_typical_text_of_equal_uncertainty() -> None:
    rows = np.concatenate([np.tile([1.0, 0, 0], (9, 1)) + 0.05 * rows_of(9, 3), [[0, 0, 1.0]]])
    pool = Pool(size=10, embeddings=rows, probs=np.full((10, 2), 0.5))
    for density in ("pool", "neighbors"):
        chosen = strategies.get("density_weighted", density=density, neighbors=3).select(
            pool, 10, np.random.default_rng(0)
        )
        assert chosen.indices[-1] == 9


def test_of_a_large_pool_only_the_most_informative_get_a_density_by_neighbors() -> None:
    probs = np.stack([np.linspace(0.5, 1, 100), 1 - np.linspace(0.5, 1, 100)], axis=1)
    pool = Pool(size=100, embeddings=abs(rows_of(100, 3)), probs=probs)
    strategy = strategies.get("density_weighted", density="neighbors", neighbors=2, max_candidates=10)
    assert set(strategy.select(pool, 8, np.random.default_rng(0)).indices.tolist()) <= set(range(10))


def test_what_cannot_be_weighted_is_refused() -> None:
    with pytest.raises(StrategyOptionError, match="base 'core_set' does not score each text by itself"):
        strategies.get("density_weighted", base="core_set")
    pool = Pool(size=2, embeddings=np.eye(2), uncertainty=np.array([-1.0, 1.0]))
    with pytest.raises(PoolError, match="scores of 'uncertainty' are negative"):
        strategies.get("density_weighted", base="uncertainty").select(pool, 1, np.random.default_rng(0))

"""hybrid and mixed: what they take from the strategies that they combine."""

from __future__ import annotations

import numpy as np
import pytest

import strategies
from strategies import Pool, StrategyOptionError


def two_groups() -> Pool:
    """Ten texts in two far groups of five; those of the first are more uncertain; then ninety certain ones."""
    rng = np.random.default_rng(0)
    rows = np.concatenate([np.tile([1.0, 0, 0], (5, 1)), np.tile([0, 1.0, 0], (5, 1)), np.tile([0, 0, 1.0], (90, 1))])
    best = np.concatenate([np.linspace(0.50, 0.54, 5), np.linspace(0.60, 0.64, 5), np.linspace(0.9, 0.99, 90)])
    return Pool(
        size=100,
        embeddings=rows + rng.normal(scale=0.01, size=rows.shape),
        labeled_embeddings=np.empty((0, 3)),
        probs=np.stack([best, 1 - best], axis=1),
    )


@pytest.mark.parametrize("diversity", ["k_means", "k_center"])
def test_hybrid_takes_different_texts_from_the_shortlist(diversity: str) -> None:
    strategy = strategies.get("hybrid", base="margin", factor=5.0, diversity=diversity)
    chosen = strategy.select(two_groups(), 2, np.random.default_rng(0))
    assert sorted(index // 5 for index in chosen.indices.tolist()) == [0, 1]
    assert (np.diff(chosen.scores) <= 0).all()


def test_hybrid_with_a_shortlist_of_n_is_its_base() -> None:
    hybrid = strategies.get("hybrid", factor=1.0).select(two_groups(), 8, np.random.default_rng(0))
    margin = strategies.get("margin").select(two_groups(), 8, np.random.default_rng(1))
    np.testing.assert_array_equal(hybrid.indices, margin.indices)


def test_mixed_takes_its_share_from_the_other_and_spreads_it() -> None:
    pool = two_groups()
    chosen = strategies.get("mixed", share=0.2, other="least_confidence").select(pool, 10, np.random.default_rng(0))
    base = strategies.get("margin").select(pool, 8, np.random.default_rng(0)).indices.tolist()
    assert [i for position, i in enumerate(chosen.indices.tolist()) if position not in (2, 7)] == base
    assert sorted(chosen.indices.tolist()) == list(range(10))  # the next best of what the base has left


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0), (1.0, 20), (0.1, 2)])
def test_mixed_explores_as_much_as_it_is_told(share: float, expected: int) -> None:
    pool = two_groups()
    chosen = strategies.get("mixed", share=share).select(pool, 20, np.random.default_rng(3))
    base = (
        set(strategies.get("margin").select(pool, 20 - expected, np.random.default_rng(0)).indices)
        if expected < 20
        else set()
    )
    assert len(set(chosen.indices.tolist()) - base) == expected


def test_options_of_the_combined_strategies_are_passed_on_and_checked() -> None:
    strategies.get("mixed", base="core_set", base_options={"space": "features"})
    strategies.get("hybrid", base="density_weighted", base_options={"beta": 2.0})
    with pytest.raises(StrategyOptionError, match="space must be one of"):
        strategies.get("mixed", base="core_set", base_options={"space": "moon"})
    with pytest.raises(StrategyOptionError, match="factor must be at least 1"):
        strategies.get("hybrid", factor=0.5)
    with pytest.raises(StrategyOptionError, match="share must be between 0 and 1"):
        strategies.get("mixed", share=1.5)


def test_contrast_to_sure_neighbours_is_never_negative() -> None:
    rng = np.random.default_rng(0)
    sure = np.eye(3, dtype=np.float32)[rng.integers(0, 3, 400)]
    logits = 20 * sure + rng.normal(size=(400, 3)).astype(np.float32)
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    rows = rng.normal(size=(400, 4)).astype(np.float32)
    pool = Pool(
        size=300, probs=probs[:300], features=rows[:300], embeddings=rows[:300], labeled_probs=probs[300:],
        labeled_features=rows[300:],
    )  # fmt: skip
    assert strategies.get("cal").scores(pool).min() >= 0  # type: ignore[attr-defined]
    weighted = strategies.get("density_weighted", base="cal")
    assert len(weighted.select(pool, 5, rng).indices) == 5


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_options_are_finite(value: float) -> None:
    with pytest.raises(StrategyOptionError, match="'beta' must be a finite number"):
        strategies.get("density_weighted", beta=value)

"""The levelled unbiased risk estimator against its definition, draw by draw."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.evaluation.unbiased import draws, risk, weights
from strategies.sampled import draw


def chances(given_weights: np.ndarray, order: tuple[int, ...]) -> np.ndarray:
    """The probability of each draw given those before it."""
    found, left = [], given_weights.sum()
    for row in order:
        found.append(given_weights[row] / left)
        left -= given_weights[row]
    return np.array(found)


@given(st.integers(2, 6), st.integers(1, 6), st.integers(0, 2**31))
def test_its_mean_over_all_draws_is_the_mean_loss(pool: int, draws: int, seed: int) -> None:
    draws = min(draws, pool)
    rng = np.random.default_rng(seed)
    likely, losses = rng.uniform(0.05, 1.0, pool), rng.uniform(0.0, 1.0, pool)
    expected = 0.0
    for order in permutations(range(pool), draws):
        of_draws = chances(likely, order)
        expected += of_draws.prod() * float((weights(of_draws, pool) * losses[list(order)]).mean())
    assert expected == pytest.approx(losses.mean())


def test_uniform_draws_and_a_pool_that_was_drawn_whole_count_alike() -> None:
    assert weights(1.0 / (20 - np.arange(7)), 20) == pytest.approx(np.ones(7))
    whole = np.array([0.1, 0.5, 1.0])
    assert weights(whole, 3) == pytest.approx(np.ones(3))
    found = risk([draws(np.array([1.0, 0.0, 0.0]), whole, 3)])
    assert found is not None
    assert (found.mean, *found.interval) == pytest.approx((1 / 3, 1 / 3, 1 / 3)), "nothing is left to guess"
    assert risk([draws(np.ones(1), np.ones(1), 3)]) is None
    assert risk([]) is None


@pytest.mark.parametrize("wrong", [0.2, 0.8])
def test_hard_texts_that_are_asked_for_first_do_not_bias_it(wrong: float) -> None:
    """1,800 texts, the harder the earlier in rank; three queues of 18 draws of each of 400 projects."""
    rng = np.random.default_rng(0)
    hardness = np.linspace(0.2, -0.2, 1800)
    losses = (rng.random(1800) < wrong + hardness).astype(np.float64)
    log_weights = -np.log(np.arange(1, 1801))
    found, naive = [], []
    for _ in range(400):
        drawn = [draw(log_weights, 18, rng) for _ in range(3)]
        estimate = risk([draws(losses[rows], likely, 1800) for rows, likely in drawn])
        assert estimate is not None
        found.append(estimate)
        naive.append(np.mean([losses[rows].mean() for rows, _ in drawn]))
    wrong = losses.mean()
    assert np.mean(naive) > wrong + 0.1
    assert np.mean([each.mean for each in found]) == pytest.approx(wrong, abs=0.03)
    assert np.mean([each.interval[0] <= wrong <= each.interval[1] for each in found]) > 0.9


def test_texts_that_were_skipped_do_not_bias_it() -> None:
    """Whoever skips what is hard leaves the risk of the rest, not another one."""
    rng = np.random.default_rng(1)
    hard = np.arange(1800) < 180
    losses = (rng.random(1800) < np.where(hard, 0.5, 0.1)).astype(np.float64)
    answers = ~hard | (rng.random(1800) > 0.6)
    truth, found = losses[answers].mean(), []
    for _ in range(400):
        rows, likely = draw(-np.log(np.arange(1, 1801)), 54, rng)
        estimate = risk([draws(np.where(answers, losses, np.nan)[rows], likely, 1800)])
        assert estimate is not None
        found.append(estimate.mean)
    assert np.mean(found) == pytest.approx(truth, abs=0.01)

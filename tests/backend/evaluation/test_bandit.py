"""Shares follow what was taught, and forget it again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.evaluation.bandit import Belief, beforehand, in_words, learn, shares, taught


def gains(means: list[float], texts: int = 200, noise: float = 0.5, seed: int = 0) -> np.ndarray:
    """What each member's texts teach on held-out texts, which have much in common."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(scale=2.0, size=texts)
    return np.array([mean + shared + rng.normal(scale=noise, size=texts) for mean in means])


@given(st.lists(st.floats(-3, 3), min_size=2, max_size=8), st.floats(0.01, 4))
def test_shares_are_a_whole_and_nobody_is_given_up(means: list[float], variance: float) -> None:
    found = shares(Belief(np.array(means), np.full(len(means), variance)))
    assert found.sum() == pytest.approx(1.0)
    assert (found >= 0.05 - 1e-12).all()


def test_the_first_member_is_trusted_most_beforehand() -> None:
    found = shares(beforehand(4))
    assert found[0] == max(found) > 0.35
    assert list(found) == sorted(found, reverse=True)


def test_whoever_teaches_more_gets_more_and_luck_weighs_little() -> None:
    belief = beforehand(3)
    for number in range(6):
        belief = learn(belief, gains([0.5, 0.5, 2.0], noise=0.2, seed=number))
    assert shares(belief)[2] > 0.6
    noisy = [shares(learn(beforehand(3), gains([0.5, 0.5, 0.8], texts=8, noise=3.0, seed=s))) for s in range(50)]
    assert abs(np.mean(noisy, axis=0) - shares(beforehand(3))).max() < 0.1


def test_what_helped_once_is_forgotten() -> None:
    belief = beforehand(2)
    for number in range(8):
        belief = learn(belief, gains([0.2, 1.8], noise=0.2, seed=number))
    before = shares(belief)[1]
    for number in range(8):
        belief = learn(belief, gains([1.8, 0.2], noise=0.2, seed=number))
    assert before > 0.6 > 0.4 > shares(belief)[1]


def test_nothing_to_compare_makes_less_sure_and_no_more() -> None:
    alone = gains([1.0, 1.0, 1.0])
    alone[1:] = np.nan
    found = learn(beforehand(3), alone)
    np.testing.assert_allclose(found.mean, beforehand(3).mean)
    np.testing.assert_allclose(found.variance, beforehand(3).variance)
    told = learn(beforehand(3), gains([0.1, 2.0, 0.1], noise=0.1))
    faded = learn(told, alone)
    assert (abs(faded.mean - beforehand(3).mean) < abs(told.mean - beforehand(3).mean)).all()
    assert (faded.variance > told.variance).all()
    assert "no gains measured yet" in in_words(["a", "b", "c"], found, None)
    assert in_words(["a", "b", "c"], found, alone) == "largest share: a; highest gain per text in the last batch: a"


def test_what_is_taught_is_what_each_part_lowers_the_loss_by() -> None:
    """With a learner that can be counted out by hand: the loss is how far a text is from the nearest known one."""

    def losses(vectors: np.ndarray, _t: np.ndarray, others: np.ndarray, _o: np.ndarray) -> np.ndarray:
        return np.abs(others - vectors.T).min(axis=1)

    known = np.array([[0.0]], np.float32), np.array([0])
    batch = np.array([[4.0], [5.0], [1.0], [1.0], [9.0]], np.float32), np.zeros(5, np.int64)
    held_out = np.array([[5.0], [1.0], [0.0]], np.float32), np.zeros(3, np.int64)
    found = taught(known, batch, np.array([0, 0, 1, 1, 2]), 4, held_out, losses)
    np.testing.assert_allclose(found[0], [5 / 2, 0, 0])
    np.testing.assert_allclose(found[1], [1 / 2, 1 / 2, 0])
    assert np.isnan(found[2:]).all(), "one text tells nothing, and no text neither"

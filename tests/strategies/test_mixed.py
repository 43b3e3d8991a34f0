"""Parts of a batch, and how they are woven together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import strategies
from strategies import Pool, StrategyOptionError
from strategies.mixed import Mixed, parts


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=6), st.integers(0, 200))
def test_parts_are_whole_and_within_one_of_their_share(weights: list[float], k: int) -> None:
    shares = np.array(weights) / sum(weights)
    found = parts(shares.tolist(), k)
    assert found.sum() == k
    assert (np.abs(found - shares * k) < 1 + 1e-6).all()


def test_auto_says_which_member_chose_each_and_spreads_them() -> None:
    rng = np.random.default_rng(0)
    rows, probs = rng.normal(size=(300, 4)), rng.dirichlet([1, 1, 1], 300)
    pool = Pool(size=300, probs=probs, features=rows, embeddings=rows, labeled_embeddings=rows[:0])
    chosen = strategies.get("auto").select(pool, 50, rng)
    assert chosen.members is not None
    assert np.bincount(chosen.members).tolist() == [30, 7, 7, 6]
    margin = strategies.get("margin").select(pool, 30, rng)
    np.testing.assert_array_equal(chosen.indices[chosen.members == 0], margin.indices)
    gaps = np.diff(np.flatnonzero(chosen.members == 0))
    assert gaps.max() <= 4, "nowhere a long run of one of them"


def test_members_are_strategies_that_can_be_mixed() -> None:
    found = strategies.get("auto", members=["entropy", "random"])
    assert isinstance(found, Mixed)
    assert found.shares == (0.6, 0.4)
    assert found.requires == {"probs"}
    wrong: list[object] = [["margin"], ["margin", "margin"], "margin", 7, [7, "margin"], ["auto", "margin"]]
    for members in [*wrong, ["co_training", "margin"]]:
        with pytest.raises(StrategyOptionError, match="auto"):
            strategies.get("auto", members=members)
    with pytest.raises(strategies.StrategyError, match="moon"):
        strategies.get("auto", members=["margin", "moon"])

"""The baseline: uniform, and honest about its probabilities."""

from __future__ import annotations

import numpy as np

import strategies
from strategies import Pool


def test_every_candidate_is_as_likely() -> None:
    seen, strategy = np.zeros(10), strategies.get("random")
    for seed in range(2000):
        seen[strategy.select(Pool(size=10), 3, np.random.default_rng(seed)).indices] += 1
    assert (abs(seen - 600) < 110).all()  # 5 standard deviations


def test_states_the_probability_of_each_draw() -> None:
    chosen = strategies.get("random").select(Pool(size=5), 3, np.random.default_rng(0))
    assert chosen.probabilities is not None
    np.testing.assert_allclose(chosen.probabilities, [1 / 5, 1 / 4, 1 / 3])

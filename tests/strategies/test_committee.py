"""Query by committee, and the rankings of the learner's own numbers, against plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import strategies
from strategies import Pool, PoolError
from strategies.bald import mutual_information
from strategies.co_training import contention
from strategies.consensus_entropy import consensus_entropy
from strategies.consensus_kl import consensus_kl
from strategies.disagreement import divergence
from strategies.epig import expected_information
from strategies.variance import variance
from strategies.vote_entropy import vote_entropy

weights = st.floats(0.0, 1.0, allow_subnormal=False)  # halves of the smallest ones are 0, and p / 0 is no reference
members = st.integers(1, 5).flatmap(
    lambda s: st.lists(st.lists(weights, min_size=3, max_size=3).filter(sum), min_size=s, max_size=s)
)


def normalised(weights: list[list[float]]) -> list[list[float]]:
    return [[w / math.fsum(row) for w in row] for row in weights]


def plain_entropy(row: list[float]) -> float:
    return -math.fsum(p * math.log(p) for p in row if p > 0)


@given(members)
def test_against_plain_loops(weights: list[list[float]]) -> None:
    rows = normalised(weights)
    array = np.array(rows)[:, None, :]  # S members, one text
    mean = [math.fsum(row[c] for row in rows) / len(rows) for c in range(3)]
    votes = [max(range(3), key=lambda c: row[c]) for row in rows]
    shares = [votes.count(c) / len(rows) for c in range(3)]
    divergence = math.fsum(p * math.log(p / q) for row in rows for p, q in zip(row, mean, strict=True) if p > 0)
    assert vote_entropy(array)[0] == pytest.approx(plain_entropy(shares), abs=1e-9)
    assert consensus_entropy(array)[0] == pytest.approx(plain_entropy(mean), abs=1e-9)
    assert consensus_kl(array)[0] == pytest.approx(divergence / len(rows), abs=1e-9)
    own = math.fsum(plain_entropy(row) for row in rows) / len(rows)
    assert mutual_information(array)[0] == pytest.approx(plain_entropy(mean) - own, abs=1e-9)


def test_expected_information_about_other_labels_against_plain_loops() -> None:
    rng = np.random.default_rng(0)
    committee, targets = rng.dirichlet(np.ones(3), size=(4, 6)), rng.dirichlet(np.ones(3), size=(4, 5))
    committee[:, 0] = [1.0, 0.0, 0.0]  # a label that every member knows
    for row, found in enumerate(expected_information(committee.astype(np.float32), targets)):
        total = 0.0
        for target in range(5):
            for y in range(3):
                for other in range(3):
                    joint = math.fsum(committee[s, row, y] * targets[s, target, other] for s in range(4)) / 4
                    apart = committee[:, row, y].mean() * targets[:, target, other].mean()
                    total += joint * math.log(joint / apart) if joint > 0 else 0.0
        assert found == pytest.approx(total / 5, abs=1e-6)
        assert found >= 0
    assert expected_information(committee, targets)[0] == pytest.approx(0.0, abs=1e-9)


def test_expected_information_in_parts_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    committee = np.random.default_rng(0).dirichlet(np.ones(4), size=(3, 50)).astype(np.float32)
    whole = expected_information(committee, committee[:, :7])
    monkeypatch.setattr("strategies.epig._CELLS", 4 * 28 * 3)
    np.testing.assert_allclose(expected_information(committee, committee[:, :7]), whole, rtol=1e-9)
    with pytest.raises(strategies.StrategyOptionError, match="at least 1"):
        strategies.get("epig", targets=0)


def test_unlike_bald_it_ignores_what_no_other_text_depends_on() -> None:
    """Members disagree about two texts; about the first alone, and about the second together with all others."""
    alone, together = [[0.9, 0.1], [0.1, 0.9], [0.9, 0.1], [0.1, 0.9]], [[0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.1, 0.9]]
    committee = np.array([alone, together, *[together] * 8]).swapaxes(0, 1)
    assert mutual_information(committee)[0] == pytest.approx(mutual_information(committee)[1])
    found = expected_information(committee, committee[:, 2:])
    assert found[0] == pytest.approx(0.0, abs=1e-9)
    assert found[1] > 0.1


@given(members.filter(lambda rows: len(rows) == 2))
def test_disagreement_of_two_views_against_a_plain_loop(weights: list[list[float]]) -> None:
    one, other = normalised(weights)
    total = 0.0
    for p, q in zip(one, other, strict=True):
        for each in (p, q):
            total += each / 2 * math.log(each / ((p + q) / 2)) if each > 0 else 0.0
    found = divergence(np.array([one, other])[:, None, :])[0]
    assert found == pytest.approx(total, abs=1e-9)
    assert 0 <= found <= math.log(2) + 1e-9


def test_disagreement_compares_two_views() -> None:
    with pytest.raises(strategies.PoolError, match="compares 2 views; the committee has 3 members"):
        divergence(np.full((3, 1, 2), 0.5))


@given(members)
def test_mutual_information_is_the_mean_divergence_and_never_negative(weights: list[list[float]]) -> None:
    array = np.array(normalised(weights), dtype=np.float32)[:, None, :]
    assert mutual_information(array)[0] >= 0
    assert consensus_kl(array)[0] >= 0
    assert mutual_information(array)[0] == pytest.approx(consensus_kl(array)[0], abs=1e-6)


def test_the_smallest_number_there_is_stays_finite() -> None:
    array = np.array([[0.0, 1.0, 0.0], [0.0, 1.0, 5e-324]])[:, None, :]
    assert consensus_kl(array)[0] == mutual_information(array)[0] == 0


def test_members_who_agree_leave_only_consensus_entropy() -> None:
    array = np.tile(np.array([[0.6, 0.3, 0.1]]), (4, 1, 1))
    assert vote_entropy(array)[0] == mutual_information(array)[0] == consensus_kl(array)[0] == 0
    assert consensus_entropy(array)[0] == pytest.approx(plain_entropy([0.6, 0.3, 0.1]))


def test_variance_against_a_plain_loop() -> None:
    predictions = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
    for column, found in zip(predictions.T.tolist(), variance(predictions), strict=True):
        mean = math.fsum(column) / 4
        assert found == pytest.approx(math.fsum((x - mean) ** 2 for x in column) / 4)


@pytest.mark.parametrize(("name", "field"), [("egl", "gradient_lengths"), ("uncertainty", "uncertainty")])
def test_the_learners_own_numbers_are_ranked_as_they_are(name: str, field: str) -> None:
    chosen = strategies.get(name).select(
        Pool(size=4, **{field: np.array([0.1, 3.0, 2.0, 0.5])}), 3, np.random.default_rng(0)
    )
    assert (chosen.indices.tolist(), chosen.scores.tolist()) == ([1, 2, 3], [3.0, 2.0, 0.5])


def test_views_that_are_sure_and_disagree_come_first() -> None:
    sure_apart, less_sure_apart, unsure_alike, sure_alike = [0.9, 0.1], [0.7, 0.3], [0.55, 0.45], [0.95, 0.05]
    first = np.array([sure_alike, sure_apart, unsure_alike, less_sure_apart])
    second = np.array([sure_alike, sure_apart[::-1], unsure_alike, less_sure_apart[::-1]])
    assert np.argsort(-contention(np.stack([first, second]))).tolist() == [1, 3, 2, 0]
    with pytest.raises(PoolError, match="compares 2 views; the committee has 3 members"):
        contention(np.stack([first, second, first]))


def test_a_large_committee_is_scored_block_by_block_alike() -> None:
    array = np.random.default_rng(0).dirichlet(np.ones(3), size=(3, 20_000)).astype(np.float32)
    strategy = strategies.get("bald")
    np.testing.assert_array_equal(
        strategy.scores(Pool(size=20_000, committee_probs=array)),  # type: ignore[attr-defined]
        mutual_information(array),
    )

"""One suite over every strategy: what the protocol promises."""

from __future__ import annotations

import inspect
from dataclasses import replace

import numpy as np
import pytest

import strategies
from strategies import Pool, PoolError, StrategyOptionError, UnknownStrategyError
from strategies.base import CANDIDATE_AXIS, subset
from strategies.ranking import Scorer
from strategies.registry import _found

NAMES = strategies.names()
RANKING = [name for name in NAMES if isinstance(strategies.get(name), Scorer)]
# Without ties and without drawing: the selection follows from the pool alone.
DETERMINISTIC = [*(name for name in RANKING if name != "vote_entropy"), "core_set"]


def make_pool(size: int, labeled: int = 5, classes: int = 4, dimensions: int = 6, seed: int = 0) -> Pool:
    """Every field that a strategy may ask for. Two members: `co_training` compares as many."""
    rng = np.random.default_rng(seed)

    def of(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32)

    return Pool(
        size=size,
        probs=rng.dirichlet(np.ones(classes), size=size).astype(np.float32),
        labeled_probs=rng.dirichlet(np.ones(classes), size=labeled).astype(np.float32),
        committee_probs=rng.dirichlet(np.ones(classes), size=(2, size)).astype(np.float32),
        predictions=of(3, size),
        features=of(size, dimensions),
        labeled_features=of(labeled, dimensions),
        embeddings=of(size, dimensions),
        labeled_embeddings=of(labeled, dimensions),
        gradient_lengths=abs(of(size)),
        uncertainty=of(size),
        class_counts=np.arange(classes),
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("size", "n"), [(40, 10), (7, 10), (1, 1), (10, 10)])
def test_selection_is_unique_finite_and_full(name: str, size: int, n: int) -> None:
    chosen = strategies.get(name).select(make_pool(size), n, np.random.default_rng(0))
    assert chosen.indices.dtype == np.int64
    assert chosen.indices.shape == chosen.scores.shape == (min(n, size),)
    assert len(set(chosen.indices.tolist())) == len(chosen.indices)
    assert ((chosen.indices >= 0) & (chosen.indices < size)).all()
    assert np.isfinite(chosen.scores).all()


@pytest.mark.parametrize("name", NAMES)
def test_equal_seeds_give_equal_selections(name: str) -> None:
    first, second = (strategies.get(name).select(make_pool(60), 15, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first.indices, second.indices)
    np.testing.assert_array_equal(first.scores, second.scores)


@pytest.mark.parametrize("name", NAMES)
def test_empty_pool_gives_empty_selection(name: str) -> None:
    assert len(strategies.get(name).select(make_pool(0), 5, np.random.default_rng(0)).indices) == 0


@pytest.mark.parametrize("name", NAMES)
def test_no_labels_yet(name: str) -> None:
    assert len(strategies.get(name).select(make_pool(20, labeled=0), 5, np.random.default_rng(0)).indices) == 5


@pytest.mark.parametrize("name", NAMES)
def test_fewer_than_one_candidate_is_refused(name: str) -> None:
    with pytest.raises(PoolError, match="selects at least 1"):
        strategies.get(name).select(make_pool(5), 0, np.random.default_rng(0))


@pytest.mark.parametrize("name", [name for name in NAMES if strategies.get(name).requires])
def test_missing_malformed_and_non_finite_fields_are_named(name: str) -> None:
    strategy = strategies.get(name)
    field = min(strategy.requires - {"class_counts"})  # whole numbers, which cannot be broken in the same way
    good = make_pool(8)
    fields = {f: getattr(good, f) for f in strategy.requires}
    broken = fields[field].copy()
    broken.flat[0] = np.nan
    for value, message in ((None, "was not given"), (np.zeros((8,) * 4), "dimensions"), (broken, "NaN")):
        with pytest.raises(PoolError, match=f"pool.{field}.*{message}"):
            strategy.select(Pool(size=8, **{**fields, field: value}), 3, np.random.default_rng(0))
    with pytest.raises(PoolError, match=r"pool\.size is 9"):
        strategy.select(Pool(size=9, **fields), 3, np.random.default_rng(0))


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_permuting_the_pool_permutes_the_selection(name: str) -> None:
    pool = make_pool(50)
    order = np.random.default_rng(1).permutation(50)
    before = strategies.get(name).select(pool, 12, np.random.default_rng(0))
    after = strategies.get(name).select(subset(pool, order, CANDIDATE_AXIS), 12, np.random.default_rng(9))
    np.testing.assert_array_equal(order[after.indices], before.indices)


@pytest.mark.parametrize("name", ["core_set", "badge"])
def test_equal_texts_are_not_chosen_twice_while_others_are_left(name: str) -> None:
    pool = make_pool(30)
    twice = subset(pool, np.repeat(np.arange(30), 4), CANDIDATE_AXIS)
    chosen = strategies.get(name).select(twice, 30, np.random.default_rng(0)).indices
    assert len(set(chosen // 4)) == 30


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_scores_fall_from_first_to_last(name: str) -> None:
    scores = strategies.get(name).select(make_pool(50), 20, np.random.default_rng(0)).scores
    assert (np.diff(scores) <= 0).all()


@pytest.mark.parametrize("name", [n for n in NAMES if strategies.get(n).requires & {"probs", "committee_probs"}])
def test_several_labels_a_text_are_refused(name: str) -> None:
    with pytest.raises(PoolError, match="multi-label"):
        strategies.get(name).select(replace(make_pool(6), multilabel=True), 1, np.random.default_rng(0))


def test_unknown_names_and_options_are_refused_with_the_choices() -> None:
    with pytest.raises(UnknownStrategyError, match=r"'entropie' is unknown; choose one of .*entropy"):
        strategies.get("entropie")
    with pytest.raises(StrategyOptionError, match="'entropy' has no option 'beta'; its options: none"):
        strategies.get("entropy", beta=1)
    with pytest.raises(StrategyOptionError, match="'neighbors' must be of type int, not 'many'"):
        strategies.get("typiclust", neighbors="many")
    with pytest.raises(StrategyOptionError, match="max_clusters must be at least 1"):
        strategies.get("typiclust", max_clusters=0)


@pytest.mark.parametrize("name", NAMES)
def test_every_number_has_a_largest_value(name: str) -> None:
    """One project's options must not hold a machine for days."""
    for option, parameter in inspect.signature(_found()[name].load()).parameters.items():
        if isinstance(parameter.default, int | float) and not isinstance(parameter.default, bool):
            for huge in (10**12, 10**400, 1e300):
                with pytest.raises(StrategyOptionError, match=f"'{option}' must be"):
                    strategies.get(name, **{option: huge})

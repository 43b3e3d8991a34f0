"""Which strategy teaches most: a belief about each, moved by what its texts of the last batch taught.

A Bayesian bandit: beliefs are normal and fade from round to round towards what is known of strategies in general, since
what helps changes as a model learns; each strategy's share is the probability that it is the best (Thompson, Biometrika
1933; for changing ones Gupta, Granmo & Agrawala, ICMLA 2011). What a strategy's texts teach is told a text, so that a
share does not count twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Vectors = NDArray[np.float32]
Targets = NDArray[np.int64]
Losses = Callable[[Vectors, Targets, Vectors, Targets], Array]  # learn from the first two; the loss on each other text

_BEFORE = (0.6, 0.2, 0.2)  # what the first members are believed to teach beyond the average, as a share of it; then 0
_SPREAD = 0.35  # standard deviation of that belief
_KEPT = 0.8  # of what was learned, from round to round
_NOISE = 0.3  # standard deviation of what a batch happens to teach, beside that of the measurement
_MOST = 2.0  # beyond the average that is believed of one batch, either way
_LEAST = 0.05  # of the batch for every member: what is never tried cannot become the best
_DRAWS = 10_000
_FEW = 2  # texts of a member that tell anything


class Belief(NamedTuple):
    """What each member is believed to teach beyond the average, as a share of it: (K,) each."""

    mean: Array
    variance: Array


def beforehand(members: int) -> Belief:
    """What is believed before anything was taught."""
    mean = np.zeros(members)
    mean[: len(_BEFORE)] = _BEFORE[:members]
    return Belief(mean, np.full(members, _SPREAD**2))


def shares(belief: Belief) -> Array:
    """The share of the next batch for each member: (K,), sums to 1."""
    members = len(belief.mean)
    drawn = belief.mean + np.sqrt(belief.variance) * np.random.default_rng(0).normal(size=(_DRAWS, members))
    best = np.bincount(drawn.argmax(axis=1), minlength=members) / _DRAWS
    return np.asarray(_LEAST + (1 - members * _LEAST) * best)


def taught(
    known: tuple[Vectors, Targets], batch: tuple[Vectors, Targets], by: Targets, members: int,
    held_out: tuple[Vectors, Targets], losses: Losses,
) -> Array:  # fmt: skip
    """By how much each member's texts of a batch lower the loss on each held-out text, a text: (K, H).

    NaN for a member with fewer than two. by: (B,) which member chose each text of the batch.
    """
    vectors, targets = known
    before = losses(vectors, targets, *held_out)
    found = np.full((members, len(held_out[1])), np.nan)
    for member in range(members):
        mine = by == member
        if mine.sum() >= _FEW:
            more = np.concatenate([vectors, batch[0][mine]]), np.concatenate([targets, batch[1][mine]])
            found[member] = (before - losses(*more, *held_out)) / mine.sum()
    return found


def learn(belief: Belief, gains: Array) -> Belief:
    """The belief after a batch. gains: (K, H), what `taught` found.

    Members are compared on the same held-out texts, so that what all have in common falls out.
    """
    before = beforehand(len(belief.mean))
    mean = before.mean + _KEPT * (belief.mean - before.mean)
    variance = before.variance + _KEPT**2 * (belief.variance - before.variance)
    seen = ~np.isnan(gains).any(axis=1)
    if seen.sum() < 2 or gains.shape[1] < _FEW:
        return Belief(mean, variance)
    gains = gains[seen]
    average = gains.mean(axis=0)
    texts = gains.shape[1]
    scale = max(abs(float(average.mean())), 1e-6)
    unsure_of_scale = average.std(ddof=1) / np.sqrt(texts) / scale
    beyond = gains - average
    found = (beyond.mean(axis=1) / scale).clip(-_MOST, _MOST)
    noise = (beyond.std(axis=1, ddof=1) / np.sqrt(texts) / scale) ** 2 + (found * unsure_of_scale) ** 2 + _NOISE**2
    trust = variance[seen] / (variance[seen] + noise)
    mean[seen] += trust * (found + mean[seen].mean() - mean[seen])
    variance[seen] *= 1 - trust
    return Belief(mean, variance)


def in_words(names: list[str], belief: Belief, gains: Array | None) -> str:
    """Why the shares are what they are."""
    leader = names[int(np.argmax(shares(belief)))]
    if gains is None or np.isnan(gains).all():
        return f"most by {leader}: nothing was taught yet that could be compared"
    means: list[Any] = [None if np.isnan(row).any() else row.mean() for row in gains]
    best = max((m, n) for m, n in zip(means, names, strict=True) if m is not None)[1]
    return f"most by {leader}; of the last batch the texts of {best} taught most"

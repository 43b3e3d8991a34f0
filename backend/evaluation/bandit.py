"""Bandit over strategies: estimate whose texts lower the held-out loss most, and derive shares of the next batch.

Beliefs are normal and decay from round to round towards the prior, since the best strategy changes as a model learns.
A strategy's share is the probability that it is the best: Thompson sampling (Thompson, Biometrika 1933; for bandits
that change over time Gupta, Granmo & Agrawala, ICMLA 2011). Gain is measured per text, so that it does not depend on
the share.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Vectors = NDArray[np.float32]
Targets = NDArray[np.int64]
Losses = Callable[[Vectors, Targets, Vectors, Targets], Array]  # fit on the first two; loss on each of the others

_PRIOR_MEAN = (0.6, 0.2, 0.2)  # first members' gain above the average, relative to it; 0 for the others
_PRIOR_DEVIATION = 0.35  # standard deviation
_KEPT = 0.8  # fraction of the deviation from the prior that is kept from round to round
_NOISE = 0.3  # standard deviation of a batch's gain, in addition to the measurement error
_MAX_GAIN = 2.0  # limit of one batch's gain above or below the average
_MIN_SHARE = 0.05  # of each member: one that is never tried cannot become the best
_DRAWS = 10_000  # to estimate the shares
_MIN_TEXTS = 2  # to measure a gain


class Belief(NamedTuple):
    """Belief in each member's gain above the average, relative to the average: (K,) each."""

    mean: Array
    variance: Array


def beforehand(members: int) -> Belief:
    """The prior."""
    mean = np.zeros(members)
    mean[: len(_PRIOR_MEAN)] = _PRIOR_MEAN[:members]
    return Belief(mean, np.full(members, _PRIOR_DEVIATION**2))


def shares(belief: Belief) -> Array:
    """Share of each member in the next batch: (K,), sums to 1."""
    members = len(belief.mean)
    drawn = belief.mean + np.sqrt(belief.variance) * np.random.default_rng(0).normal(size=(_DRAWS, members))
    best = np.bincount(drawn.argmax(axis=1), minlength=members) / _DRAWS
    return np.asarray(_MIN_SHARE + (1 - members * _MIN_SHARE) * best)


def taught(
    known: tuple[Vectors, Targets], batch: tuple[Vectors, Targets], by: Targets, members: int,
    held_out: tuple[Vectors, Targets], losses: Losses,
) -> Array:  # fmt: skip
    """Reduction of the loss on each held-out text per text of each member: (K, H).

    NaN for a member with fewer than two texts in the batch. by: (B,) index of the member that selected each text.
    """
    vectors, targets = known
    before = losses(vectors, targets, *held_out)
    found = np.full((members, len(held_out[1])), np.nan)
    for member in range(members):
        mine = by == member
        if mine.sum() >= _MIN_TEXTS:
            more = np.concatenate([vectors, batch[0][mine]]), np.concatenate([targets, batch[1][mine]])
            found[member] = (before - losses(*more, *held_out)) / mine.sum()
    return found


def learn(belief: Belief, gains: Array) -> Belief:
    """Belief after a batch. gains: (K, H) from `taught`.

    Members are compared on the same held-out texts, so that effects common to all cancel.
    """
    prior = beforehand(len(belief.mean))
    mean = prior.mean + _KEPT * (belief.mean - prior.mean)
    variance = prior.variance + _KEPT**2 * (belief.variance - prior.variance)
    seen = ~np.isnan(gains).any(axis=1)
    if seen.sum() < 2 or gains.shape[1] < _MIN_TEXTS:
        return Belief(mean, variance)
    gains = gains[seen]
    average = gains.mean(axis=0)
    texts = gains.shape[1]
    scale = max(abs(float(average.mean())), 1e-6)
    scale_error = average.std(ddof=1) / np.sqrt(texts) / scale
    relative = gains - average
    found = (relative.mean(axis=1) / scale).clip(-_MAX_GAIN, _MAX_GAIN)
    noise = (relative.std(axis=1, ddof=1) / np.sqrt(texts) / scale) ** 2 + (found * scale_error) ** 2 + _NOISE**2
    trust = variance[seen] / (variance[seen] + noise)
    mean[seen] += trust * (found + mean[seen].mean() - mean[seen])
    variance[seen] *= 1 - trust
    return Belief(mean, variance)


def in_words(names: list[str], belief: Belief, gains: Array | None) -> str:
    """Reason for the current shares, as a sentence."""
    leader = names[int(np.argmax(shares(belief)))]
    if gains is None or np.isnan(gains).all():
        return f"largest share: {leader}; no gains measured yet"
    means: list[Any] = [None if np.isnan(row).any() else row.mean() for row in gains]
    best = max((m, n) for m, n in zip(means, names, strict=True) if m is not None)[1]
    return f"largest share: {leader}; highest gain per text in the last batch: {best}"

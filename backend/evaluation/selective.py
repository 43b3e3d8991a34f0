"""How many of a model's answers can be taken as they are, with a guarantee: selective classification.

The remaining texts are ranked by the model's confidence. People label a random sample of them. A test decides for each
group "the k most confident" whether it has more wrong answers than allowed: under the null hypothesis that it has just
one more, so few wrong ones in its part of the sample have a probability of at most the risk. Sampling is without
replacement from finitely many texts, so that the number is hypergeometric and the test exact.

The groups are tested from the most confident on, and the first that fails ends it (fixed-sequence testing: Angelopoulos
et al., "Learn then Test", 2021, section 4). Confidences fix the order before any label of the sample is read, so the
risk of a false group is that of one test. Small groups have few labels, and one unlucky label there would end it; so
only groups are tested that pass with two wrong labels, which does not depend on the labels that are given.
Selective classification with such a guarantee: Geifman & El-Yaniv, NeurIPS 2017.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln
from scipy.stats import hypergeom

Array = NDArray[Any]
RISK = 0.05  # probability that a group is taken that has more wrong answers than allowed
_FIRST_SHARE = 0.7  # of it, for the first sample of a project
_NEXT = 1 - _FIRST_SHARE  # factor of each further one; all sum to 1
_GROUPS = 200  # tested at most
_LARGER = 20  # times the smallest sample of a large pool, in a small one, at most
_FORGIVEN = 2  # wrong labels with which each tested group passes


class Part(NamedTuple):
    """The largest group that passed."""

    size: int  # texts, the most confident ones
    sampled: int  # of them labeled by people for the sample
    wrong: int  # of those, the model was wrong on
    allowed: int  # most wrong answers among all of them, with probability 1 − risk


NOTHING = Part(0, 0, 0, 0)


def risk_of(sample: int, risk: float = RISK) -> float:
    """The risk of a project's n-th sample, from 1: those of all samples sum to at most `risk`."""
    return risk * _FIRST_SHARE * _NEXT ** (sample - 1)


def least(accuracy: float, risk: float, remaining: int, of: int | None = None) -> int | None:
    """Size of the smallest sample that proves an accuracy of all remaining texts if the model is right on all of it.

    None if no sample does. of: as in `largest`.
    """
    most = min(remaining, _LARGER * math.ceil(math.log(risk) / math.log(accuracy)))
    counts = np.arange(1, most)
    allowed = _allowed(accuracy, remaining - counts, of, 0)
    passing = np.flatnonzero(_chances_of_none(remaining, counts, allowed) <= risk)
    return int(counts[passing[0]]) if len(passing) else None


def largest(
    confidence: Array, sample: Array, wrong: Array, free: Array, accuracy: float, risk: float, *, of: int | None,
    spent: int = 0,
) -> Part:  # fmt: skip
    """The largest group of which at least `accuracy` is right with probability 1 − `risk`; `NOTHING` if none passes.

    confidence: (N,) of the texts that remained when the sample was drawn. sample: (n,) rows of a random sample without
    replacement of them. wrong: (n,) bool, whether the model is wrong on it. free: (N,) bool, the texts that would get
    the model's answer: not the sample, and not those that people labeled meanwhile. of: None if the accuracy is that
    of these; else the number of all texts, of which the others are right, but for `spent` wrong ones.
    """
    sizes, counts, errors, free_ones = _groups(confidence, sample, wrong, free)
    allowed = _allowed(accuracy, free_ones, of, spent)
    tested = _tested(sizes, counts, allowed, risk)
    failed = np.flatnonzero(chances(sizes, counts, errors, allowed)[tested] > risk)
    passed = tested[: failed[0]] if len(failed) else tested
    if not len(passed):
        return NOTHING
    return Part(*(int(values[passed[-1]]) for values in (sizes, counts, errors, allowed)))


def _allowed(accuracy: float, free: Array, of: int | None, spent: int) -> Array:
    """The wrong answers that are allowed in each group: (G,)."""
    base = free if of is None else np.full(len(free), of)
    return np.asarray(np.maximum(0, np.floor((1 - accuracy) * base + 1e-9) - spent))


def _tested(sizes: Array, counts: Array, allowed: Array, risk: float) -> Array:
    """The groups that are tested: those that pass with two wrong labels; in a small sample with one, or with none."""
    for forgiven in range(_FORGIVEN, 0, -1):
        found = np.flatnonzero(chances(sizes, counts, np.minimum(counts, forgiven), allowed) <= risk)
        if len(found):
            return found
    return np.flatnonzero(chances(sizes, counts, np.zeros(len(sizes)), allowed) <= risk)


def chances(sizes: Array, counts: Array, errors: Array, allowed: Array) -> Array:
    """Probability of at most so many wrong answers in the sample if a group has one more than allowed: (G,) each."""
    sure = allowed >= sizes  # even if all are wrong
    bad = np.minimum(allowed + 1, sizes)
    return np.where(sure, 0.0, hypergeom.cdf(errors, sizes, bad, counts))


def _chances_of_none(size: int, counts: Array, allowed: Array) -> Array:
    """`chances` of one group without a wrong answer in the sample, in closed form: (G,). Thousands take no time."""
    right = size - np.minimum(allowed + 1, size)
    return np.asarray(
        np.exp(gammaln(right + 1) - gammaln(right - counts + 1) + gammaln(size - counts + 1) - gammaln(size + 1))
    )  # fmt: skip


def _groups(confidence: Array, sample: Array, wrong: Array, free: Array) -> tuple[Array, Array, Array, Array]:
    """Sizes of the groups, increasing, and of each its texts in the sample, the wrong ones of these, and the free ones.

    Texts of equal confidence are in one group, since nothing orders them.
    """
    order = np.argsort(-confidence, kind="stable")
    ranked = confidence[order]
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)) + 1
    ends = ends[np.unique(np.linspace(0, len(ends) - 1, min(_GROUPS, len(ends))).round().astype(int))]
    drawn, mistakes = np.zeros(len(confidence)), np.zeros(len(confidence))
    drawn[sample] = 1
    mistakes[sample] = wrong
    return (ends, *(each[order].cumsum()[ends - 1] for each in (drawn, mistakes, free.astype(float))))

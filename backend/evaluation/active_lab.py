"""Which labels are worth another one most: ActiveLab (Goh & Mueller, arXiv:2301.11856).

A text is judged by its annotators and by the model, each weighted by how well it agrees with the others: CROWDLAB (Goh,
Tkachenko & Mueller, arXiv:2210.06812, section 3).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Whole = NDArray[np.int64]

_ENOUGH = 20  # labels of texts with several, before which annotators and model cannot be compared
_LEAST = 1e-3  # weight of one who agrees no more often than always giving the most frequent class would


class Votes(NamedTuple):
    """Labels of texts by annotators: one row of each array a label, V in all. Each text has at least one."""

    texts: Whole  # (V,) row of the text
    annotators: Whole  # (V,) number of the annotator, from 0
    classes: Whole  # (V,)


class Trust(NamedTuple):
    """How much a label of each annotator, and a prediction of the model, counts."""

    annotators: Array  # (J,) weights
    model: float  # weight
    agreement: float  # probability that an annotator gives the class that most give


def trust(votes: Votes, predicted: Array, annotators: int) -> Trust | None:
    """The weights of CROWDLAB; None while few labels are of texts with several. predicted: (N, C) out-of-fold.

    An annotator without a text that others have labeled counts as an average one.
    """
    counts = _counts(votes, predicted.shape)
    number = counts.sum(axis=1)
    several = number[votes.texts] > 1
    if several.sum() < _ENOUGH:
        return None
    majority = (counts + predicted / 2).argmax(axis=1)  # the model decides between equal numbers of votes
    both = number > 1
    frequent = float((majority[both] == counts.sum(axis=0).argmax()).mean())
    others = number[votes.texts] - 1
    agree = counts[votes.texts, votes.classes] - 1
    of_each = np.full(annotators, agree[several].sum() / others[several].sum())
    for each in range(annotators):
        mine = several & (votes.annotators == each)
        if mine.any():
            of_each[each] = agree[mine].sum() / others[mine].sum()
    right = float((predicted.argmax(axis=1) == majority)[both].mean())
    model = _better_than(right, frequent) * np.sqrt(number.mean())
    agreement = float((votes.classes == majority[votes.texts])[several].mean())
    return Trust(np.array([_better_than(each, frequent) for each in of_each]), float(model), agreement)


def quality(votes: Votes, predicted: Array, by: Trust | None) -> Array:
    """The probability of the most probable class of each text, by annotators and model: (N,).

    Without weights, that of the label by the model alone.
    """
    classes = predicted.shape[1]
    if by is None:
        given = np.zeros(len(predicted), np.int64)
        given[votes.texts] = votes.classes
        return np.asarray(predicted[np.arange(len(given)), given])
    total = by.model * predicted
    of_one = np.full((len(votes.texts), classes), (1 - by.agreement) / max(1, classes - 1))
    of_one[np.arange(len(votes.texts)), votes.classes] = by.agreement
    np.add.at(total, votes.texts, by.annotators[votes.annotators][:, None] * of_one)
    return np.asarray(total.max(axis=1) / _weight(votes, len(predicted), by))


def scores(votes: Votes, predicted: Array, by: Trust | None) -> Array:
    """ActiveLab's score of each labeled text, (N,): the lowest is worth another label most."""
    found, classes = quality(votes, predicted, by), predicted.shape[1]
    if by is None:
        return np.asarray((2 * found + 1 / classes) / 3)
    weight, mean = _weight(votes, len(predicted), by), float(by.annotators.mean())
    return np.asarray((weight * found + mean / classes) / (weight + mean))


def scores_unlabeled(predicted: Array, by: Trust | None) -> Array:
    """The same score of texts without a label, (M,). predicted: (M, C) probabilities."""
    mean, model = (1.0, 1.0) if by is None else (float(by.annotators.mean()), by.model)
    return np.asarray((model * predicted.max(axis=1) + mean / predicted.shape[1]) / (model + mean))


def _counts(votes: Votes, shape: tuple[int, ...]) -> Array:
    """Votes by text and class: (N, C)."""
    counts = np.zeros(shape)
    np.add.at(counts, (votes.texts, votes.classes), 1)
    return counts


def _weight(votes: Votes, texts: int, by: Trust) -> Array:
    """The weights of the model and of all annotators of each text: (N,)."""
    return np.asarray(by.model + np.bincount(votes.texts, by.annotators[votes.annotators], texts), np.float64)


def _better_than(share: float, frequent: float) -> float:
    """How much better than always giving the most frequent class: 1 for never wrong."""
    return max(_LEAST, 1 - (1 - share) / max(1 - frequent, _LEAST))

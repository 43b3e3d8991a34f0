"""How many labels are wrong, and which, from what a model predicts for texts that it was not trained on.

A label differs from the prediction because the model is wrong, or because the label is. A model is wrong as often as
its confidences predict, once they are scaled by a temperature (Guo et al., ICML 2017); wrong labels come on top of
that, however confident it is. Both are estimated together by maximum likelihood, where a share of the labels has been
replaced by any other class (random classification noise: Angluin & Laird, Machine Learning 1988). Without the
temperature, every mistake of a young model would count as a wrong label. Texts on which the model is sure and wrong for
another reason cannot be distinguished from them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax
from scipy.stats import chi2
from sklearn.model_selection import KFold

Array = NDArray[np.float64]
Vectors = NDArray[np.float32]
Targets = NDArray[np.int64]
Probs = Callable[[Vectors, Targets, Vectors], Array]  # fit on the first two; class probabilities of the last

_FOLDS = 5
_ENOUGH = 20  # labels to compare
_OF_CLASS = 5  # labels of a class, below which the model cannot know it
_TEMPERATURES = np.geomspace(0.1, 10.0, 60)
_SHARES = np.concatenate([[0.0], np.geomspace(1e-3, 0.5, 80)])  # of the labels that are wrong
_DROP = float(chi2.ppf(0.95, 1)) / 2  # of the log-likelihood at the ends of a 95 % interval (Wilks 1938)
_PROOF = float(chi2.ppf(0.99, 1)) / 2  # of that without any wrong label, or the lower end is 0
_LEAST = 1e-12  # probability


class Suspect(NamedTuple):
    """A label that is rather wrong than right."""

    row: int
    quality: float  # probability that the label is right, at most
    instead: int  # the class that the model predicts


class LabelNoise(NamedTuple):
    """The share of the compared labels that is wrong, with its 95 % interval, and those to check."""

    labels: int  # that were compared: of classes with a few labels
    share: float
    low: float
    high: float
    suspects: list[Suspect]  # the worst first


def label_noise(vectors: Vectors, labels: Targets, probs: Probs) -> LabelNoise | None:
    """vectors: (N, D); labels: (N,) class indices. None below 20 labels of two classes with at least five each.

    `suspects` are empty as long as all labels may be right. Otherwise each is wrong with at least 50 % probability,
    even if no more labels are wrong than the lower end of the interval.
    """
    present, given, counts = np.unique(labels, return_inverse=True, return_counts=True)
    compared = np.flatnonzero(counts[given] >= _OF_CLASS)
    if len(compared) < _ENOUGH or (counts >= _OF_CLASS).sum() < 2:
        return None
    found = out_of_fold(vectors, labels, probs)[:, present]
    noise = _noise(found[compared], given[compared])
    suspects = [Suspect(int(compared[each.row]), each.quality, int(present[each.instead])) for each in noise.suspects]
    return noise._replace(suspects=suspects)


def out_of_fold(vectors: Vectors, labels: Targets, probs: Probs) -> Array:
    """Class probabilities of each text by a model that did not learn it: (N, C). At least five texts."""
    parts = [
        (others, probs(vectors[learned], labels[learned], vectors[others]))
        for learned, others in KFold(_FOLDS, shuffle=True, random_state=0).split(vectors)
    ]
    found = np.empty((len(labels), parts[0][1].shape[1]))
    for others, part in parts:
        found[others] = part
    return found


def _noise(found: Array, given: Targets) -> LabelNoise:
    """found: (N, C) out-of-fold probabilities. given: (N,) the labels, as columns of them."""
    logs = np.log(np.clip(found, _LEAST, None))
    rows, classes = np.arange(len(given)), found.shape[1]
    of_given = np.array([np.exp(log_softmax(logs / each, axis=1)[rows, given]) for each in _TEMPERATURES])  # (T, N)
    likelihood = np.array([np.log(_probability(of_given, share, classes)).sum(axis=1) for share in _SHARES])
    best = likelihood.max(axis=1)  # of each share, with the temperature that suits it
    inside = np.flatnonzero(best >= best.max() - _DROP)
    least = inside[0] if best[0] < best.max() - _PROOF else 0
    share, low, high = (float(_SHARES[row]) for row in (best.argmax(), least, inside[-1]))
    right = of_given[likelihood[least].argmax()]
    certain = (1 - low) * right / _probability(right, low, classes)  # that a label is right
    suspects = [
        Suspect(int(row), float(certain[row]), int(found[row].argmax()))
        for row in np.argsort(certain, kind="stable")
        if certain[row] <= 0.5 and found[row].argmax() != given[row]
    ]
    return LabelNoise(len(given), share, low, high, suspects)


def _probability(right: Array, share: float, classes: int) -> Array:
    """Of the labels, if that share of them is wrong. right: probability of their classes, by the model."""
    return np.asarray(np.clip((1 - share) * right + share * (1 - right) / (classes - 1), _LEAST, None))

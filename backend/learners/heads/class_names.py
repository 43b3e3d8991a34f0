"""Class names as prior knowledge: the initial weights of a head, before the first label and beside few labels.

A class's logit is 8 · cosine between the text and the class's name, both centred (zero-shot classification by embedding
similarity: Chang et al., Importance of Semantic Representation: Dataless Classification, AAAI 2008), times the belief
in names, plus what labels correct. The belief is estimated by empirical Bayes from the labels (MacKay, Bayesian
Interpolation, 1992), so that names without meaning lose their influence.

A probe is the prior corrected by labels. An adapter starts from the prior alone: started from the corrected head, as
in LP-FT (Kumar et al., ICLR 2022), it has little left to learn. While labels are few for their classes and the names
are right, the corrected head is better than an adapter, and the base model stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, log_expit, log_softmax

from backend.learners.heads.linear import prior_variance
from backend.learners.heads.map_head import Fixed, fit_map, set_weights
from backend.learners.kinds.base import TargetHead, hot
from backend.targets import Kind, Target

Array = NDArray[Any]

KINDS: frozenset[Kind] = frozenset({"classification", "multilabel"})  # whose heads read one vector per text
BELIEVED = 0.5  # from this belief on, a class's name is a training example, too
_RIGHT = 0.5  # share of the labels
_FEW = 4  # labels per class, at most
_CLASSES = 20  # from which one label per class is few
_SCALE = 8.0  # of the cosines
_BELIEFS = np.linspace(0.0, 2.0, 41)  # candidates
_PRIOR_SD = 0.5  # of the belief, whose prior mean is 1


@dataclass(frozen=True, slots=True)
class Frame:
    """The center of texts' vectors, (D,), and their mean distance to it."""

    center: Array
    radius: float

    @classmethod
    def of(cls, vectors: Array) -> Frame:
        """The frame of (N, D) vectors, N ≥ 1."""
        center = np.asarray(vectors.mean(axis=0), np.float32)
        return cls(center, max(float(np.linalg.norm(vectors - center, axis=1).mean()), 1e-6))

    def __call__(self, vectors: Array) -> Array:
        """Centred vectors of mean length 1: (N, D) → (N, D)."""
        return np.asarray((vectors - self.center) / self.radius, np.float32)

    def inside(self, weights: torch.Tensor, biases: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The function of vectors as one of centred vectors. weights: (C, D); biases: (C,)."""
        return weights * self.radius, biases + weights @ torch.from_numpy(self.center)

    def outside(self, weights: torch.Tensor, biases: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The inverse of `inside`."""
        weights = weights / self.radius
        return weights, biases - weights @ torch.from_numpy(self.center)


@dataclass(frozen=True, slots=True)
class NamePrior:
    """Class names as the weights of a linear head on centred vectors."""

    frame: Frame
    weights: Array  # (C, D), times the belief
    bias: float  # of every class
    belief: float  # from 0 to 2
    labels: int
    right: float  # share of the labels that the names alone predict; 0 if a text may have several

    @property
    def is_enough(self) -> bool:
        """Whether a head corrected by the labels is better than an adapter: the names are right, the labels few.

        Fine-tuning on few labels for many classes forgets more of the names than it learns, unless the names know
        little; for few classes it is better from the first dozen labels on. The limit, C/20 labels per class, fits 77
        bank intents and the demo's 8 topics: benchmarks/results/few_labels.md.
        """
        classes = len(self.weights)
        return self.labels < min(_FEW, classes / _CLASSES) * classes and self.right >= _RIGHT

    def start(self, head: TargetHead) -> None:
        """Set the head's weights to the prior."""
        biases = torch.full((len(self.weights),), self.bias)
        set_weights(head, *self.frame.outside(torch.from_numpy(self.weights), biases))

    def fit(self, head: TargetHead, labeled: Array, values: Sequence[Any]) -> None:
        """Set the head's weights to the most probable ones, given labels. labeled: (M, D); values: their labels."""
        if not len(values):
            return self.start(head)
        variance = torch.full(self.weights.shape, prior_variance(len(self.weights)))
        reading = Fixed.of(torch.from_numpy(self.frame(labeled)))
        given = [(row, value, 1) for row, value in enumerate(values)]
        fit_map(head, (torch.from_numpy(self.weights), variance), reading, given, self.bias)
        return set_weights(head, *self.frame.outside(head.linear.weight.detach(), head.linear.bias.detach()))


def name_prior(target: Target, names: Array, labeled: Array, values: Sequence[Any], unlabeled: Array) -> NamePrior:
    """The prior of a target's class names, weighted by how far the labels confirm them.

    names: the vectors of a text per class, (C, D); labeled: those of labeled texts, (M, D), with their values;
    unlabeled: those of texts like the ones to predict, (N, D). M + N ≥ 1.
    """
    frame = Frame.of(np.concatenate([labeled, unlabeled]))
    weights = directions(names)
    given = hot(target, values).numpy() > 0
    vectors = np.concatenate([frame(labeled), frame(unlabeled)])
    several = target.kind == "multilabel"
    belief, bias = believe(weights, vectors, given, several=several)
    predicted = (vectors[: len(given)] @ weights.T).argmax(axis=1)
    right = 0.0 if several or not len(given) else float(given[np.arange(len(given)), predicted].mean())
    return NamePrior(frame, np.asarray(belief * weights, np.float32), bias, belief, len(given), right)


def directions(names: Array) -> Array:
    """Vectors of the class names → prior weights: (C, D) → (C, D), of length 8, around the names' own center."""
    unit = names / np.maximum(np.linalg.norm(names, axis=1, keepdims=True), 1e-12)
    centred = unit - unit.mean(axis=0)
    return np.asarray(_SCALE * centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12), np.float32)


def believe(weights: Array, vectors: Array, hot: Array, *, several: bool) -> tuple[float, float]:
    """The belief in class names, and the bias of all classes, that make the labels most probable.

    weights: (C, D); vectors: (N, D), the labeled ones first; hot: (M, C) bool. Without labels: 1. several: a text may
    have several labels; the bias then makes their expected number equal to that of the labels, or to 1 without labels.
    """
    logits = (vectors @ weights.T).astype(np.float64)
    count = (1 + hot.sum()) / (1 + len(hot))

    def value(belief: float) -> tuple[float, float]:
        bias = _bias(belief * logits, count) if several else 0.0
        own = belief * logits[: len(hot)] + bias
        logs = log_expit(np.where(hot, own, -own)).sum() if several else log_softmax(own, axis=1)[hot].sum()
        return float(logs) - (belief - 1) ** 2 / (2 * _PRIOR_SD**2), bias

    found = [(value(belief), belief) for belief in _BELIEFS]
    (_, bias), belief = max(found)
    return float(belief), bias


def _bias(logits: Array, count: float) -> float:
    """The bias with which the texts have `count` labels on average. logits: (N, C)."""
    most = logits.shape[1]
    count = min(max(count, 1e-3 * most), (1 - 1e-3) * most)
    return float(brentq(lambda bias: expit(logits + bias).sum(axis=1).mean() - count, -50, 50, xtol=1e-3))

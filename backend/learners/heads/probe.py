"""A linear probe on frozen embeddings: a head for one target, fitted in milliseconds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from backend.learners.heads import class_names, linear
from backend.learners.heads.map_head import Fixed
from backend.learners.kinds import head_of
from backend.targets import Kind, Target

Array = NDArray[Any]

KINDS: frozenset[Kind] = frozenset({"classification", "pairwise", "multilabel"})


@dataclass(frozen=True, slots=True)
class Probe:
    """probs: vectors → class probabilities, (B, D) → (B, C); rows sum to 1 unless a text may have several labels."""

    probs: Callable[[Array], Array]
    several: bool = False

    def doubt(self, vectors: Array) -> NDArray[np.float32]:
        """Uncertainty: (B, D) → (B,). 1 − the margin between the two most likely classes.

        With several labels a text: 1 − the margin between presence and absence, the mean over the labels.
        """
        probs = self.probs(vectors)
        if self.several:
            return np.asarray(1 - np.abs(2 * probs - 1).mean(axis=1), np.float32)
        first, second = np.partition(probs, [-2, -1], axis=1)[:, [-1, -2]].T
        return np.asarray(1 - (first - second), np.float32)


def fit(target: Target, vectors: Array, values: Sequence[Any]) -> Probe:
    """Logistic regression, with several labels one of each. vectors: (M, D), M ≥ 1; values: their labels."""
    if target.kind != "multilabel":
        rows = {name: row for row, name in enumerate(target.classes)}
        return Probe(linear.fit(vectors, np.array([rows[value] for value in values], np.int64), len(rows)).alone)
    of_each = [
        linear.fit(vectors, np.array([name in value for value in values], np.int64), 2) for name in target.classes
    ]
    return Probe(lambda block: np.stack([head.alone(block)[:, 1] for head in of_each], axis=1), several=True)


def fit_named(target: Target, names: Array, labeled: Array, values: Sequence[Any], unlabeled: Array) -> Probe:
    """As `fit`, with class names as prior knowledge, so no label is needed; arguments as of `name_prior`."""
    head = head_of(target, names.shape[1])
    class_names.name_prior(target, names, labeled, values, unlabeled).fit(head, labeled, values)

    def probs(block: Array) -> Array:
        with torch.inference_mode():
            vectors = torch.from_numpy(np.asarray(block, np.float32))
            return np.asarray(head.outputs(Fixed.of(vectors))["probs"].numpy())

    return Probe(probs, several=target.kind == "multilabel")

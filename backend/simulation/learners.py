"""What a simulation can train: the product's LoRA adapters, or a linear head on frozen embeddings."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.preprocessing import normalize

from backend.learners import gradients, heads
from backend.learners.base_model import BaseModel
from backend.learners.learner import Learner as TrainedLearner
from backend.learners.training import train
from backend.options import ProjectOptions
from backend.pool.fields import SCORED
from backend.rounds.selection.co_training import NOTHING, Lent, between
from backend.rounds.selection.strategy import committee_options, gradient_options, training_options
from backend.targets import Target
from strategies import Strategy

Rows = NDArray[np.int64]
Array = NDArray[Any]
_NAME = "label"


class Learner(Protocol):
    """Learns from rows of the training texts, and scores others of them."""

    def fit(self, rows: Rows, targets: Rows, options: ProjectOptions, strategy: Strategy) -> None:
        """Forget what was, and learn from these rows; the strategy chooses next. targets: the class of each."""

    def test(self) -> Array:
        """Class probabilities of the test texts, (T, C)."""

    def score(self, rows: Rows, wanted: Collection[str], options: ProjectOptions) -> dict[str, Array]:
        """The wanted arrays of these rows, as a trained adapter gives them, and `embeddings`."""


class Probe:
    """A logistic regression on the base model's embeddings: a run takes seconds."""

    def __init__(self, train_embeddings: Array, test_embeddings: Array, classes: Sequence[str]) -> None:
        self._train = train_embeddings
        self._test = test_embeddings
        self._classes = len(classes)

    def fit(self, rows: Rows, targets: Rows, options: ProjectOptions, strategy: Strategy) -> None:
        """The head, and its bootstrap committee if one is wanted."""
        committee = committee_options(options, strategy)
        vectors = self._train[rows]
        self._head = heads.fit(vectors, targets, self._classes)
        self._committee = None
        if committee is not None:
            rng = np.random.default_rng(options.seed)
            samples = heads.bootstrap(len(rows), committee.members, rng)
            self._committee = heads.fit_committee(vectors, targets, self._classes, samples, rng)

    def test(self) -> Array:
        """Of the head."""
        return self._head.alone(self._test)

    def score(self, rows: Rows, wanted: Collection[str], options: ProjectOptions) -> dict[str, Array]:
        """Its features are the directions of the embeddings, and its gradients are the head's."""
        vectors = normalize(self._train[rows])  # what the head sees
        found: dict[str, Array] = {}
        if "embeddings" in wanted:
            found["embeddings"] = self._train[rows]
        if "features" in wanted:
            found["features"] = vectors
        if "probs" in wanted:
            found["probs"] = self._head.alone(vectors)
        if "committee_probs" in wanted and self._committee is not None:
            found["committee_probs"] = self._committee.probs(torch.from_numpy(vectors)).numpy()
        if "gradient_lengths" in wanted:
            logits = torch.log(self._head.probs(torch.from_numpy(vectors))[:, 0])
            of_head = replace(gradient_options(options), parameters="head")
            found["gradient_lengths"] = gradients.lengths(logits, torch.from_numpy(vectors), [], of_head).numpy()
        return found


class Lora:
    """The product's own learner: an adapter fine-tuned from the base model for each fit."""

    def __init__(
        self, base: BaseModel, train_texts: Sequence[str], test_texts: Sequence[str], classes: Sequence[str],
        train_embeddings: Array,
    ) -> None:  # fmt: skip
        self._base = base
        self._train = train_texts
        self._test = test_texts
        self._classes = classes
        self._target = Target(_NAME, "classification", tuple(classes))
        self._embeddings = train_embeddings
        self._learner: TrainedLearner | None = None
        self._views: tuple[Rows, Array] | None = None  # the rows scored last, and what both views said of them
        self._folder = tempfile.TemporaryDirectory(prefix="lsal-simulate-")

    def fit(self, rows: Rows, targets: Rows, options: ProjectOptions, strategy: Strategy) -> None:
        """Fine-tune an adapter, and its committee if one is wanted; views lend each other what they are sure of."""
        folder = Path(self._folder.name)
        if self._learner is not None:
            self._learner.unload()
        to_adapter, to_frozen = self._lent(rows, targets, options)
        texts, labels = self._examples(rows, targets)
        train(
            self._base, [*texts, *to_adapter[0]], _values([*labels, *to_adapter[1]]), [self._target],
            training_options(options, strategy), folder,
            frozen_view=([*texts, *to_frozen[0]], _values([*labels, *to_frozen[1]])),
        )  # fmt: skip
        self._learner = TrainedLearner.load(self._base, "simulated", folder)

    def test(self) -> Array:
        """Of the adapter."""
        return self._trained().score(self._test)[f"{_NAME}/probs"]

    def score(self, rows: Rows, wanted: Collection[str], options: ProjectOptions) -> dict[str, Array]:
        """As the backend scores a pool."""
        found: dict[str, Array] = {"embeddings": self._embeddings[rows]} if "embeddings" in wanted else {}
        if learned := set(wanted) & SCORED:
            texts = [self._train[row] for row in rows]
            scored = self._trained().score(texts, learned, gradient=gradient_options(options))
            found.update({name.removeprefix(f"{_NAME}/"): values for name, values in scored.items()})
        if options.strategy == "co_training" and "committee_probs" in found:
            self._views = rows, found["committee_probs"]
        return found

    def _lent(self, rows: Rows, targets: Rows, options: ProjectOptions) -> tuple[Lent, Lent]:
        if self._views is None:
            return NOTHING, NOTHING
        scored, views = self._views
        waiting = ~np.isin(scored, rows)
        counts = np.bincount(targets, minlength=len(self._classes))
        return between([self._train[row] for row in scored[waiting]], views[waiting], self._classes, counts, options)

    def _examples(self, rows: Rows, targets: Rows) -> Lent:
        return [self._train[row] for row in rows], [self._classes[target] for target in targets]

    def _trained(self) -> TrainedLearner:
        if self._learner is None:
            raise RuntimeError("fit comes first")
        return self._learner


def _values(labels: Sequence[str]) -> list[dict[str, str]]:
    return [{_NAME: label} for label in labels]

"""Learners of a simulation: the product's LoRA adapters, or a linear head on frozen embeddings."""

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

from backend.learners import gradients
from backend.learners.heads import linear, probe
from backend.learners.learner import LoraLearner as TrainedLearner
from backend.learners.models.base_model import BaseModel
from backend.learners.training.train import train
from backend.options import ProjectOptions
from backend.pool.fields import SCORED
from backend.rounds.selection.co_training import NOTHING, Lent, between
from backend.rounds.selection.strategy import committee_options, gradient_options, training_options
from backend.targets import Target
from strategies import Strategy

Rows = NDArray[np.int64]
Array = NDArray[Any]
_NAME = "label"
_SAMPLE = 256  # texts that class names are compared with, as in a project


class Learner(Protocol):
    """Trains on some rows of the training texts, and scores others."""

    @property
    def named(self) -> bool:
        """Whether it knows the names of the classes, and so can be trained on no rows."""

    def fit(self, rows: Rows, targets: Rows, options: ProjectOptions, strategy: Strategy) -> None:
        """Train from scratch on these rows. targets: class of each; strategy: that of the next selection."""

    def test(self) -> Array:
        """Class probabilities of the test texts: (T, C)."""

    def score(self, rows: Rows, wanted: Collection[str], options: ProjectOptions) -> dict[str, Array]:
        """The `wanted` arrays of these rows: those that a trained adapter computes, and `embeddings`."""


class Probe:
    """Logistic regression on the base model's embeddings; a run takes seconds."""

    def __init__(
        self, train_embeddings: Array, test_embeddings: Array, classes: Sequence[str], names: Array | None = None
    ) -> None:
        self._train = train_embeddings
        self._test = test_embeddings
        self._target = Target(_NAME, "classification", tuple(classes))
        self._names = names  # the vectors of the class names, (C, D)

    @property
    def named(self) -> bool:
        """Whether it knows the names of the classes."""
        return self._names is not None

    def fit(self, rows: Rows, targets: Rows, options: ProjectOptions, strategy: Strategy) -> None:
        """Fit the head, and a bootstrap committee if the strategy needs one."""
        committee = committee_options(options, strategy)
        vectors, values = self._train[rows], [self._target.classes[target] for target in targets]
        if self._names is None:
            self._probe = probe.fit(self._target, vectors, values)
        else:
            self._probe = probe.fit_named(self._target, self._names, vectors, values, self._train[:_SAMPLE])
        self._committee = None
        if committee is not None:
            rng = np.random.default_rng(options.seed)
            samples = linear.bootstrap(len(rows), committee.members, rng)
            self._committee = linear.fit_committee(vectors, targets, len(self._target.classes), samples, rng)

    def test(self) -> Array:
        """Class probabilities by the head: (T, C)."""
        return self._probe.probs(self._test)

    def score(self, rows: Rows, wanted: Collection[str], options: ProjectOptions) -> dict[str, Array]:
        """As `Learner.score`. `features` are normalized embeddings; `gradient_lengths` are of the head alone."""
        vectors = normalize(self._train[rows])  # the head's input
        found: dict[str, Array] = {}
        if "embeddings" in wanted:
            found["embeddings"] = self._train[rows]
        if "features" in wanted:
            found["features"] = vectors
        if "probs" in wanted:
            found["probs"] = self._probe.probs(self._train[rows])
        if "committee_probs" in wanted and self._committee is not None:
            found["committee_probs"] = self._committee.probs(torch.from_numpy(vectors)).numpy()
        if "gradient_lengths" in wanted:
            logits = torch.log(torch.from_numpy(self._probe.probs(self._train[rows])))
            of_head = replace(gradient_options(options), parameters="head")
            found["gradient_lengths"] = gradients.lengths(logits, torch.from_numpy(vectors), [], of_head).numpy()
        return found


class Lora:
    """The product's learner: each fit fine-tunes an adapter from the base model."""

    def __init__(
        self, base: BaseModel, train_texts: Sequence[str], test_texts: Sequence[str], classes: Sequence[str],
        train_embeddings: Array, class_texts: Sequence[str] | None = None,
    ) -> None:  # fmt: skip
        self._base = base
        self._class_texts = {} if class_texts is None else {_NAME: tuple(class_texts)}
        self._train = train_texts
        self._test = test_texts
        self._classes = classes
        self._target = Target(_NAME, "classification", tuple(classes))
        self._embeddings = train_embeddings
        self._learner: TrainedLearner | None = None
        self._views: tuple[Rows, Array] | None = None  # the rows scored last, and both views' probabilities
        self._folder = tempfile.TemporaryDirectory(prefix="lsal-simulate-")

    @property
    def named(self) -> bool:
        """Whether it knows the names of the classes."""
        return bool(self._class_texts)

    def fit(self, rows: Rows, targets: Rows, options: ProjectOptions, strategy: Strategy) -> None:
        """Fine-tune an adapter, and a committee if the strategy needs one; co-training views exchange pseudo-labels."""
        folder = Path(self._folder.name)
        if self._learner is not None:
            self._learner.unload()
        to_adapter, to_frozen = self._lent(rows, targets, options)
        texts, labels = self._examples(rows, targets)
        train(
            self._base, [*texts, *to_adapter[0]], _values([*labels, *to_adapter[1]]), [self._target],
            replace(training_options(options, strategy), class_texts=self._class_texts), folder,
            unlabeled=self._embeddings[:_SAMPLE],
            frozen_view=([*texts, *to_frozen[0]], _values([*labels, *to_frozen[1]])),
        )  # fmt: skip
        self._learner = TrainedLearner.load(self._base, "simulated", folder)

    def test(self) -> Array:
        """Class probabilities by the adapter: (T, C)."""
        return self._trained().score(self._test)[f"{_NAME}/probs"]

    def score(self, rows: Rows, wanted: Collection[str], options: ProjectOptions) -> dict[str, Array]:
        """As `Learner.score`, computed as the backend scores a pool."""
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
            raise RuntimeError("call fit first")
        return self._learner


def _values(labels: Sequence[str]) -> list[dict[str, str]]:
    return [{_NAME: label} for label in labels]

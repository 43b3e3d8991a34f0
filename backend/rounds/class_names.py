"""The classes of a project in words, and the vectors of these words."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.learners import class_names
from backend.learners.loading import is_served
from backend.pool.texts import Texts, stored
from backend.rounds.context import ProjectRun
from backend.rounds.embeddings import embeddings
from backend.store.texts import digest

_SAMPLE = 256  # texts that class names are compared with


def class_texts(run: ProjectRun) -> dict[str, tuple[str, ...]]:
    """A text for each class, by target: from the option `descriptions` or the label config.

    Targets with a class that has no words are left out, and those whose kind does not use names.
    """
    options = run.options
    if not options.class_names or is_served(options.base_model):
        return {}
    found = {}
    for control in run.spec.controls:
        named = zip(control.target.classes, control.class_texts, strict=True)
        texts = tuple(options.descriptions.get(name, text) for name, text in named)
        if control.target.kind in class_names.KINDS and all(texts) and len(set(texts)) > 1:
            found[control.name] = texts
    return found


def sample(run: ProjectRun) -> list[str]:
    """A random sample of the project's texts, equal for equal tasks."""
    texts, places = _sample(run)
    return texts.read(places)


def sample_vectors(run: ProjectRun) -> NDArray[Any]:
    """The embeddings of `sample`: (N, D)."""
    texts, places = _sample(run)
    chosen = texts.part(places)
    return embeddings(run, chosen).take("embeddings", chosen.digests)


def name_vectors(run: ProjectRun) -> dict[str, NDArray[Any]]:
    """The embeddings of `class_texts`: (C, D) by target."""
    found = {}
    for target, names in class_texts(run).items():
        digests = np.array([digest(name) for name in names], np.int64)
        texts = Texts(digests, lambda places, names=names: [names[place] for place in places])  # type: ignore[misc]
        found[target] = embeddings(run, texts).take("embeddings", digests)
    return found


def _sample(run: ProjectRun) -> tuple[Texts, NDArray[np.int64]]:
    tasks = run.tasks.listed()
    places = np.random.default_rng([run.options.seed, run.id]).permutation(len(tasks.ids))[:_SAMPLE]
    return stored(run.store, run.id, tasks), np.sort(places)

"""Vectors of class names, and of texts to compare them with."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.pool.texts import Texts, stored
from backend.rounds.class_texts import class_texts
from backend.rounds.context import ProjectRun
from backend.rounds.embeddings import embeddings
from backend.store.texts import digest

_SAMPLE = 256  # texts that class names are compared with


def sample(run: ProjectRun) -> list[str]:
    """A random sample of the project's texts, equal for equal tasks."""
    texts, places = _sample(run)
    return texts.read(places)


def sample_vectors(run: ProjectRun, most: int | None = None) -> NDArray[Any]:
    """The embeddings of `sample`, or of a smaller one: (N, D)."""
    texts, places = _sample(run, most)
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


def _sample(run: ProjectRun, most: int | None = None) -> tuple[Texts, NDArray[np.int64]]:
    tasks = run.tasks.listed()
    places = np.random.default_rng([run.options.seed, run.id]).permutation(len(tasks.ids))[: most or _SAMPLE]
    return stored(run.store, run.id, tasks), np.sort(places)

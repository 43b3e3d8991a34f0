"""Texts as embeddings of the base model, and the class numbers of labeled ones, for quick linear heads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.learners.models.base_model import BaseModel
from backend.pool import local
from backend.pool.texts import Texts, given
from backend.rounds.context import ProjectRun
from backend.store import Store
from backend.store.files.shards import Shards
from backend.store.texts import LabeledText, TaskText
from backend.targets import Target

Classified = tuple[NDArray[Any], NDArray[np.int64]]  # vectors (M, D), classes (M,)


def classified(run: ProjectRun, target: Target, *groups: Sequence[LabeledText]) -> list[Classified]:
    """Vectors and classes of each group of texts, all labeled with one class of the target."""
    vectors = embedded(run, *groups)
    return [(rows, classes_of(target, group)) for rows, group in zip(vectors, groups, strict=True)]


def embedded(run: ProjectRun, *groups: Sequence[TaskText | LabeledText]) -> list[NDArray[Any]]:
    """The vectors of each group of texts: (M, D)."""
    found = embeddings(run, given([each for group in groups for each in group]))
    return [found.take("embeddings", [each.digest for each in group]) for group in groups]


def embeddings(run: ProjectRun, *groups: Texts) -> Shards:
    """The array "embeddings" of these texts and of all embedded before, by digest."""
    found, base = known_embeddings(run), run.models.embedder(run.options.base_model)
    for texts in groups:
        with run.progress(f"embedding {len(texts.digests)} texts") as progress:
            local.embed(
                found, base, texts, max_length=run.options.max_length, batch_shrink=run.batch_shrink,
                progress=progress, cluster=run.cluster,
            )  # fmt: skip
    return found


def known_embeddings(run: ProjectRun) -> Shards:
    """The embeddings computed so far."""
    return embeddings_of(run.store, run.id, run.models.embedder(run.options.base_model), run.options.max_length)


def embeddings_of(store: Store, project_id: int, base: BaseModel, max_length: int) -> Shards:
    """The array "embeddings" of all texts of a project that this base model has embedded, by digest."""
    return store.files.embeddings(project_id, f"{base.name}-{max_length}{base.usage.name}")


def classes_of(target: Target, examples: Sequence[LabeledText]) -> NDArray[np.int64]:
    """The class number of each text: (M,)."""
    return np.array([target.classes.index(e.values[target.name]) for e in examples], np.int64)

"""Texts as the base model's embeddings, labeled ones with the numbers of their classes for quick linear heads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.pool import local
from backend.rounds.context import Context, options_of
from backend.store.tasks import LabeledText, TaskText
from backend.targets import Target

Classified = tuple[NDArray[Any], NDArray[np.int64]]  # vectors (M, D), classes (M,)


def classified(
    context: Context, project_id: int, target: Target, *groups: Sequence[LabeledText], halvings: int = 0
) -> list[Classified]:
    """Each group of texts, all of which have one class of the target.

    halvings: how often to halve the batches that are embedded at once.
    """
    found = embedded(context, project_id, *groups, halvings=halvings)
    return [(vectors, classes_of(target, group)) for vectors, group in zip(found, groups, strict=True)]


def embedded(
    context: Context, project_id: int, *groups: Sequence[TaskText | LabeledText], halvings: int = 0
) -> list[NDArray[Any]]:
    """The vectors of each group of texts: (M, D)."""
    options = options_of(context.project(project_id))
    texts = [TaskText(e.id, e.text, e.digest) for group in groups for e in group]
    with context.progress(project_id, f"embedding {len(texts)} texts") as progress:
        scores = local.embed(
            context.store.files, project_id, context.models.get(options.base_model), texts,
            max_length=options.max_length, halvings=halvings, progress=progress,
        )  # fmt: skip
    return [np.asarray(scores.take("embeddings", [e.digest for e in group])) for group in groups]


def classes_of(target: Target, examples: Sequence[LabeledText]) -> NDArray[np.int64]:
    """The number of each text's class: (M,)."""
    return np.array([target.classes.index(e.values[target.name]) for e in examples], np.int64)

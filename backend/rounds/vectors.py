"""Texts as the base model's embeddings, labeled ones with the numbers of their classes for quick linear heads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.options import ProjectOptions
from backend.pool import local
from backend.pool.texts import Texts, given
from backend.rounds.context import Context, options_of
from backend.store.shards import Shards
from backend.store.texts import LabeledText, TaskText
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
    texts = given([each for group in groups for each in group])
    found = embeddings(context, project_id, options, texts, halvings=halvings)
    return [found.take("embeddings", [each.digest for each in group]) for group in groups]


def embeddings(context: Context, project_id: int, options: ProjectOptions, *groups: Texts, halvings: int) -> Shards:
    """The array "embeddings" of these texts and of any that were embedded before, by their digests."""
    base = context.models.embedder(options.base_model)
    found = context.store.files.embeddings(project_id, f"{base.name}-{options.max_length}")
    for texts in groups:
        with context.progress(project_id, f"embedding {len(texts.digests)} texts") as progress:
            local.embed(
                found, base, texts, max_length=options.max_length, halvings=halvings, progress=progress,
                cluster=context.cluster,
            )  # fmt: skip
    return found


def classes_of(target: Target, examples: Sequence[LabeledText]) -> NDArray[np.int64]:
    """The number of each text's class: (M,)."""
    return np.array([target.classes.index(e.values[target.name]) for e in examples], np.int64)

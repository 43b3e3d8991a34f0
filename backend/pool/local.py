"""Compute what is wanted of a project's texts in this process, and keep it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.learners.base import GradientOptions, Progress, UncertaintyOptions, no_progress
from backend.learners.base_model import BaseModel
from backend.learners.batching import TOKENS_A_BATCH
from backend.learners.kinds import output_names
from backend.learners.learner import Learner
from backend.pool.texts import Texts
from backend.store.shards import ROWS, Shards

Arrays = dict[str, NDArray[Any]]


def score(
    scores: Shards,
    learner: Learner,
    texts: Texts,
    wanted: Mapping[str, str],
    *,
    gradient: GradientOptions = GradientOptions(),
    uncertainty: UncertaintyOptions = UncertaintyOptions(),
    progress: Progress = no_progress,
) -> None:
    """Compute the adapter's outputs and the wanted arrays of every distinct text, into the adapter's scores.

    wanted: what to compute beside the outputs, by the name to keep it under. What an earlier call scored with the same
    adapter is kept, so that only new texts cost anything, and a call that was killed goes on where it was.
    """
    outputs = output_names(learner.targets)
    if len(scores) and not scores.names >= {*outputs, *wanted}:
        scores.clear()
    asked = {array.rpartition("/")[2] for array in wanted.values()}

    def compute(some: list[str], done: Progress) -> Arrays:
        found = learner.score(some, asked, gradient=gradient, uncertainty=uncertainty, progress=done)
        return {name: found[name] for name in outputs} | {name: found[array] for name, array in wanted.items()}

    _complete(scores, texts, compute, progress)


def embed(
    embeddings: Shards,
    base: BaseModel,
    texts: Texts,
    *,
    max_length: int,
    halvings: int = 0,
    progress: Progress = no_progress,
) -> None:
    """Compute the base model's embedding of every distinct text, once for each, and keep it for ever.

    halvings: how often to halve the batches.
    """
    tokens = TOKENS_A_BATCH >> halvings

    def compute(some: list[str], done: Progress) -> Arrays:
        return {"embeddings": base.embed(some, max_length=max_length, tokens_a_batch=tokens, progress=done)}

    _complete(embeddings, texts, compute, progress)


def _complete(
    known: Shards, texts: Texts, compute: Callable[[list[str], Progress], Arrays], progress: Progress
) -> None:
    """Compute what is missing, a shard at a time, so that neither memory nor what a kill costs grows with the pool."""
    _, first = np.unique(texts.digests, return_index=True)
    missing = np.sort(first[known.rows(texts.digests[first]) < 0])
    for start in range(0, len(missing), ROWS):
        some = missing[start : start + ROWS]
        done = partial(_further, progress, start, len(missing))
        known.add(texts.digests[some], compute(texts.read(some), done))


def _further(progress: Progress, before: int, total: int, done: int, _of: int) -> None:
    progress(before + done, total)

"""Compute scores and embeddings of a project's texts, in this process or on a cluster, and store them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial

import numpy as np

from backend.learners.base import GradientOptions, Learner, Progress, UncertaintyOptions, no_progress
from backend.learners.kinds import output_names
from backend.learners.models.base_model import BaseModel
from backend.learners.models.batching import TOKENS_A_BATCH
from backend.pool.cluster import Arrays, Cluster, Found
from backend.pool.texts import Places, Texts
from backend.store.files.shards import ROWS, Shards

_WORTH = 200  # texts: for fewer, connecting to a cluster takes longer than computing here


def score(
    scores: Shards,
    learner: Learner,
    texts: Texts,
    wanted: Mapping[str, str],
    *,
    gradient: GradientOptions = GradientOptions(),
    uncertainty: UncertaintyOptions = UncertaintyOptions(),
    progress: Progress = no_progress,
    cluster: Cluster | None = None,
) -> None:
    """Compute the adapter's outputs and the wanted arrays of every distinct text, and add them to `scores`.

    wanted: further arrays, by the name to store them under. Texts already in `scores` are skipped, so that only new
    texts are computed and a killed call resumes where it stopped.
    """
    outputs = output_names(learner.targets)
    if len(scores) and not scores.names >= {*outputs, *wanted}:
        scores.clear()
    names = {array.rpartition("/")[2] for array in wanted.values()}
    places = _missing(scores, texts)
    if cluster is None or len(places) < _WORTH or not learner.is_portable:
        parts = _one_by_one(places, texts, progress, lambda some, done: learner.score(
            some, names, gradient=gradient, uncertainty=uncertainty, progress=done
        ))  # fmt: skip
    else:
        parts = _counted(
            cluster.score(learner, names, gradient, uncertainty, places, texts.read), len(places), progress
        )
    named = {**{name: name for name in outputs}, **wanted}
    with closing(parts):  # disconnect from the cluster at once on an error
        for some, found in parts:
            scores.add(texts.digests[some], {name: found[array] for name, array in named.items()})


def embed(
    embeddings: Shards,
    base: BaseModel,
    texts: Texts,
    *,
    max_length: int,
    batch_shrink: int = 0,
    progress: Progress = no_progress,
    cluster: Cluster | None = None,
) -> None:
    """Compute the base model's embedding of every distinct text that `embeddings` lacks, and add it.

    batch_shrink: how many times to halve the batch size.
    """
    tokens, places = TOKENS_A_BATCH >> batch_shrink, _missing(embeddings, texts)
    if cluster is None or len(places) < _WORTH:
        parts = _one_by_one(places, texts, progress, lambda some, done: {
            "embeddings": base.embed(some, max_length=max_length, tokens_a_batch=tokens, progress=done)
        })  # fmt: skip
    else:
        parts = _counted(cluster.embed(base, max_length, batch_shrink, places, texts.read), len(places), progress)
    with closing(parts):
        for some, found in parts:
            embeddings.add(texts.digests[some], found)


def _missing(known: Shards, texts: Texts) -> Places:
    """First position of each distinct text that `known` lacks."""
    _, first = np.unique(texts.digests, return_index=True)
    return np.sort(first[known.rows(texts.digests[first]) < 0])


def _one_by_one(
    places: Places, texts: Texts, progress: Progress, compute: Callable[[list[str], Progress], Arrays]
) -> Found:
    """Compute one shard at a time: bounds the memory and the work lost when killed, whatever the pool size."""
    for start in range(0, len(places), ROWS):
        some = places[start : start + ROWS]
        yield some, compute(texts.read(some), partial(_further, progress, start, len(places)))


def _further(progress: Progress, before: int, total: int, done: int, _of: int) -> None:
    progress(before + done, total)


def _counted(parts: Found, total: int, progress: Progress) -> Found:
    done = 0
    with closing(parts):
        for some, found in parts if total else ():
            done += len(some)
            progress(done, total)
            yield some, found

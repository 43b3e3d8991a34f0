"""Which texts the adapter reads in a round: all, or those that a cheaper look at a large pool leaves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.options import ProjectOptions
from backend.pool import fields, shortlist
from backend.pool.texts import given, stored
from backend.rounds.context import Context
from backend.rounds.settled import STOP_SET
from backend.rounds.vectors import classes_of, embeddings
from backend.store.shards import ROWS, Shards
from backend.store.texts import LabeledText, Listed
from backend.targets import Target, offered

_MOST = 5000  # labels to look with, those with the highest numbers


def to_score(
    context: Context, project_id: int, options: ProjectOptions, targets: Sequence[Target], *, halvings: int = 0
) -> Listed:
    """All texts; under `shortlist` its share of the candidates, with those labeled and held out that rounds compare by.

    halvings: how often to halve the batches that are embedded at once.
    """
    tasks = context.store.tasks
    candidates = tasks.listed_waiting(project_id, audit=False)
    labeled = tasks.labeled(project_id, audit=False)
    size = max(options.published, int(np.ceil(options.shortlist * len(candidates.ids))))
    if options.shortlist == 1 or size >= len(candidates.ids):
        return tasks.listed(project_id)
    texts = stored(context.store, project_id, candidates), given(labeled)
    vectors = embeddings(context, project_id, options, *texts, halvings=halvings)
    distinct = _distinct(candidates.digests, labeled)
    places: NDArray[np.int64] = np.empty(0, np.int64)
    enough = size  # drawn where there is no label to look by
    if labeled:
        places = distinct[_chosen(options, targets, vectors, candidates.digests[distinct], labeled[-_MOST:], size)]
        enough = options.published
    if missing := max(0, enough - len(places)):  # few neighbours, or many copies of one text
        others = np.setdiff1d(np.arange(len(candidates.ids)), places)
        drawn = np.random.default_rng([options.seed, project_id]).permutation(others)[:missing]
        places = np.concatenate([places, drawn])
    audit = tasks.listed_waiting(project_id, audit=True)
    known = np.array([(e.id, e.digest) for e in labeled], np.int64).reshape(-1, 2).T
    parts = [column[places] for column in candidates], known, [column[:STOP_SET] for column in audit]
    return Listed(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _distinct(digests: NDArray[np.int64], labeled: Sequence[LabeledText]) -> NDArray[np.int64]:
    """Where each text stands first, without those that are labeled elsewhere already, if that leaves any."""
    _, first = np.unique(digests, return_index=True)
    fresh = first[~np.isin(digests[first], [example.digest for example in labeled])]
    return np.sort(fresh if len(fresh) else first)


def _chosen(
    options: ProjectOptions, targets: Sequence[Target], vectors: Shards, digests: NDArray[np.int64],
    labeled: Sequence[LabeledText], size: int,
) -> NDArray[np.int64]:  # fmt: skip
    """Places among the candidates, whose digests are given."""

    def blocks() -> Iterator[NDArray[Any]]:
        for start in range(0, len(digests), ROWS):
            yield vectors.take("embeddings", digests[start : start + ROWS])

    probes = {} if options.shortlist_by == "neighbors" else _probes(targets, vectors, labeled)
    if not probes:
        return shortlist.neighbors(blocks(), vectors.take("embeddings", [e.digest for e in labeled]), size)
    found = shortlist.doubts(blocks(), probes.values())
    weights = [options.control_weights.get(name, 1.0) for name in probes]
    return shortlist.most(fields.combined(found, weights) if len(found) > 1 else found[0], size)


def _probes(targets: Sequence[Target], vectors: Shards, labeled: Sequence[LabeledText]) -> dict[str, shortlist.Doubt]:
    """By target, for those that a linear head can learn."""
    found = {}
    for target in targets:
        known = [e for e in labeled if offered([target], e.values)]
        if not known or target.kind not in shortlist.PROBED:
            continue
        of_known = vectors.take("embeddings", [e.digest for e in known])
        if target.kind == "multilabel":
            said = np.array([[name in e.values[target.name] for name in target.classes] for e in known], np.int64)
            found[target.name] = shortlist.of_labels(of_known, said)
        else:
            found[target.name] = shortlist.of_one_class(of_known, classes_of(target, known), len(target.classes))
    return found

"""Which texts the adapter scores: all, or the part of a large pool that a cheap proxy model ranks highest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.learners.heads import probe
from backend.learners.heads.probe import Probe
from backend.options import ProjectOptions
from backend.pool import fields, shortlist
from backend.pool.texts import given, stored
from backend.rounds.class_names import name_vectors, sample_vectors
from backend.rounds.class_texts import class_texts
from backend.rounds.context import ProjectRun
from backend.rounds.embeddings import embeddings
from backend.rounds.quality.stability import STOP_SET
from backend.rounds.reach import within_reach
from backend.store.files.shards import ROWS, Shards
from backend.store.texts import LabeledText, Listed, held_out_order
from backend.targets import Target, offered

SCORED = 4000  # candidates that the adapter scores, without the option `shortlist`
_MOST = 5000  # labels for the proxy model, those with the highest task numbers


def to_score(run: ProjectRun, targets: Sequence[Target]) -> Listed:
    """All texts; of a large pool the most promising candidates, and labeled and held-out texts that rounds compare."""
    options, tasks = run.options, run.tasks
    waiting = tasks.listed_waiting(audit=False)
    size = candidates_to_score(options, len(waiting.ids))
    if size >= len(waiting.ids):
        return tasks.listed()
    candidates = within_reach(run, waiting)
    labeled = tasks.labeled(audit=False)
    texts = stored(run.store, run.id, candidates), given(labeled)
    vectors = embeddings(run, *texts)
    distinct = _distinct(candidates.digests, labeled)
    places: NDArray[np.int64] = np.empty(0, np.int64)
    enough = size  # drawn at random without labels and names
    if labeled or (options.shortlist_by != "neighbors" and class_texts(run)):
        places = distinct[_chosen(run, targets, vectors, candidates.digests[distinct], labeled[-_MOST:], size)]
        enough = options.published
    if missing := max(0, enough - len(places)):  # few neighbours, or many copies of one text
        left = np.setdiff1d(np.arange(len(candidates.ids)), places)
        places = np.concatenate([places, np.random.default_rng([options.seed, run.id]).permutation(left)[:missing]])
    others = [*labeled, *tasks.labeled(audit=True), *tasks.truths()]
    known = np.array([(e.id, e.digest) for e in others], np.int64).reshape(-1, 2).T
    held_out = tasks.listed_waiting(audit=True)
    drawn = np.isin(held_out.ids, held_out_order(held_out.ids.tolist(), options.seed)[:STOP_SET])
    parts = [column[places] for column in candidates], known, [column[drawn] for column in held_out]
    return Listed(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def candidates_to_score(options: ProjectOptions, waiting: int) -> int:
    """How many candidates the adapter scores."""
    share = options.shortlist if options.shortlist is not None else min(1.0, SCORED / max(1, waiting))
    return max(options.published, int(np.ceil(share * waiting)))


def _distinct(digests: NDArray[np.int64], labeled: Sequence[LabeledText]) -> NDArray[np.int64]:
    """The first place of each distinct text, without texts that are labeled in another task, if that leaves any."""
    _, first = np.unique(digests, return_index=True)
    fresh = first[~np.isin(digests[first], [example.digest for example in labeled])]
    return np.sort(fresh if len(fresh) else first)


def _chosen(
    run: ProjectRun, targets: Sequence[Target], vectors: Shards, digests: NDArray[np.int64],
    labeled: Sequence[LabeledText], size: int,
) -> NDArray[np.int64]:  # fmt: skip
    """The selected places among the candidates with these digests."""

    def blocks() -> Iterator[NDArray[Any]]:
        for start in range(0, len(digests), ROWS):
            yield vectors.take("embeddings", digests[start : start + ROWS])

    probes = {} if run.options.shortlist_by == "neighbors" else _probes(run, targets, vectors, labeled)
    if not probes:
        return shortlist.neighbors(blocks(), vectors.take("embeddings", [e.digest for e in labeled]), size)
    found = shortlist.doubts(blocks(), probes.values())
    weights = [run.options.control_weights.get(name, 1.0) for name in probes]
    return shortlist.most(fields.combined(found, weights) if len(found) > 1 else found[0], size)


def _probes(
    run: ProjectRun, targets: Sequence[Target], vectors: Shards, labeled: Sequence[LabeledText]
) -> dict[str, Probe]:
    """A linear probe for each target that one can learn, from labels or class names."""
    found, named = {}, name_vectors(run)
    for target in targets:
        known = [e for e in labeled if offered([target], e.values)]
        values = [e.values[target.name] for e in known]
        of_known = vectors.take("embeddings", [e.digest for e in known])
        if target.name in named:
            found[target.name] = probe.fit_named(target, named[target.name], of_known, values, sample_vectors(run))
        elif known and target.kind in probe.KINDS:
            found[target.name] = probe.fit(target, of_known, values)
    return found

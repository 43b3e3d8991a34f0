"""Which candidates of a large pool have embeddings: a random part before the first queue, then more between rounds."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from backend.pool.texts import stored
from backend.rounds.context import ProjectRun
from backend.rounds.embeddings import embeddings, known_embeddings
from backend.rounds.events import AHEAD
from backend.store.texts import Listed

SMALL = 1500  # texts: pools up to this size are embedded at once
_FIRST = 1000  # texts of a larger pool that are embedded before its first queue, at most
_FIRST_CHARACTERS = 200_000  # of these texts together: some seconds on two cores
_AT_LEAST = 200  # texts, however long they are
_AT_ONCE = 500  # texts between two checks for something else to do
_SECONDS = 20.0  # of embedding ahead, before the turns of other projects


def within_reach(run: ProjectRun, candidates: Listed) -> Listed:
    """The candidates that have an embedding, after those of a first random part are computed; all of a small pool."""
    if len(candidates.ids) <= SMALL:
        return candidates
    there = known_embeddings(run).rows(candidates.digests) >= 0
    if there.sum() < _FIRST:  # those embedded already cost nothing
        texts = stored(run.store, run.id, candidates)
        first = _in_order(run, candidates)[:_FIRST]
        lengths = np.cumsum([len(text) for text in texts.read(first)])
        first = first[: max(_AT_LEAST, int(np.searchsorted(lengths, _FIRST_CHARACTERS)))]
        embeddings(run, texts.part(first))
        there[first] = True
    return Listed(candidates.ids[there], candidates.digests[there])


def embed_ahead(run: ProjectRun) -> None:
    """Embed texts of a large pool for some seconds, or until an event arrives. What is left is the next turn's."""
    candidates = run.tasks.listed_waiting(audit=False)
    if not run.project.connected or len(candidates.ids) <= SMALL:
        return
    texts, order = stored(run.store, run.id, candidates), _in_order(run, candidates)
    missing = order[known_embeddings(run).rows(candidates.digests[order]) < 0]
    until = time.monotonic() + _SECONDS
    for start in range(0, len(missing), _AT_ONCE):
        if time.monotonic() > until or run.store.events.after(run.id, run.events["mark"])[1]:
            run.store.events.add(run.id, AHEAD)
            return
        embeddings(run, texts.part(missing[start : start + _AT_ONCE]))


def _in_order(run: ProjectRun, candidates: Listed) -> NDArray[np.int64]:
    """The places of the candidates in a random order that is the same for each task in every round."""
    draws = np.random.default_rng([run.options.seed, run.id]).random(int(candidates.ids.max()) + 1)
    return np.argsort(draws[candidates.ids], kind="stable")

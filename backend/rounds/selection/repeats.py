"""Keep near-duplicates out of the queue, with the option `near_duplicates`."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from backend.pool.near_duplicates import MOST, leaders
from backend.pool.texts import given, stored
from backend.rounds.context import ProjectRun
from backend.rounds.embeddings import embeddings
from backend.store.texts import LabeledText, Listed

log = logging.getLogger(__name__)


def without_repeats(run: ProjectRun, candidates: Listed, labeled: Sequence[LabeledText]) -> Listed:
    """The candidates that nearly repeat neither a labeled text nor an earlier candidate.

    If too few are left for a queue, others fill it: near-duplicates come last. All of more than 20,000, which would
    take long to compare; then the labeled ones are the newest of as many.
    """
    similarity = run.options.near_duplicates
    if similarity is None or not len(candidates.ids):
        return candidates
    known = labeled[-MOST:]
    if len(candidates.ids) > MOST:
        log.warning("project %d: %d texts are too many to keep near-duplicates out", run.id, len(candidates.ids))
        return candidates
    found = embeddings(run, stored(run.store, run.id, candidates), given(known))
    digests = np.concatenate([np.array([each.digest for each in known], np.int64), candidates.digests])
    leader = leaders(found.take("embeddings", digests), similarity)
    fresh = np.flatnonzero(leader == np.arange(len(leader)))
    fresh = fresh[fresh >= len(known)] - len(known)
    others = np.setdiff1d(np.arange(len(candidates.ids)), fresh)[: max(0, run.options.published - len(fresh))]
    fresh = np.sort(np.concatenate([fresh, others]))
    return Listed(candidates.ids[fresh], candidates.digests[fresh])

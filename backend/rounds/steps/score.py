"""Adapter + texts → scores: the arrays that the strategy requires, and the outputs that `/predict` returns."""

from __future__ import annotations

import numpy as np
import torch

from backend.learners.saved import read_heads
from backend.pool import local
from backend.pool.texts import stored
from backend.rounds import adapters, outputs
from backend.rounds.context import ProjectRun
from backend.rounds.embeddings import embeddings
from backend.rounds.reach import within_reach
from backend.rounds.selection import strategy
from backend.rounds.selection.prefilter import to_score
from strategies import Strategy

_MANY = 50_000  # texts, whose features would take too much disk


def score(run: ProjectRun) -> None:
    """Score every text of the project, labeled ones too: *Retrieve Predictions* requests all of them at once.

    With `shortlist`, only those that may be selected; other texts are scored when `/predict` needs them.
    """
    if run.version == 0:
        return
    options, adapter = run.options, adapters.find(run, run.version)
    chosen, targets = strategy.strategy_for(run, run.version), adapters.learned(adapter)
    if not adapter.tuned and strategy.reacts(options, chosen, targets):
        _score_embedded(run, chosen)
        return
    tasks = to_score(run, targets)
    wanted = strategy.scored(options, chosen, targets)
    if options.react and strategy.reacts(options, chosen, targets) and len(tasks.ids) <= _MANY:
        wanted["features"] = "features"  # for heads that are refitted between rounds
    with run.progress(f"scoring {len(tasks.ids)} texts") as progress:
        learner = adapters.load(run, run.version)
        try:
            local.score(
                run.scores, learner, stored(run.store, run.id, tasks), wanted,
                gradient=strategy.gradient_options(options), uncertainty=strategy.uncertainty_options(options),
                progress=progress, cluster=run.cluster,
            )  # fmt: skip
        finally:
            learner.unload()


def _score_embedded(run: ProjectRun, chosen: Strategy) -> None:
    """Score by the embeddings of the base model, which an adapter without examples reads: of a large pool a part."""
    tasks = run.tasks
    embeddings(run, stored(run.store, run.id, within_reach(run, tasks.listed_waiting(audit=False))))
    known = outputs.vectors(run)
    assert known is not None
    digests = known.known(np.unique(tasks.listed().digests))
    heads = read_heads(run.store.adapter_folder(run.id, run.version), known.of([]).shape[1], torch.device("cpu"))
    outputs.write(run, heads, chosen, digests, known)

"""Adapter + texts → scores: what the strategy asks for, and what `/predict` will answer with."""

from __future__ import annotations

from backend.pool import local
from backend.pool.texts import stored
from backend.rounds import asked
from backend.rounds.context import Context, learned, options_of
from backend.rounds.shortlist import to_score
from backend.rounds.train import load, strategy_for


def score(context: Context, project_id: int, version: int, *, halvings: int = 0) -> None:
    """Score every text of the project, labeled ones too: *Retrieve Predictions* asks for all of them at once.

    Under `shortlist`, those that may be chosen; others are read when they are asked for.

    halvings: how often to halve the batches.
    """
    if version == 0:
        return
    project = context.project(project_id)
    options = options_of(project)
    strategy = strategy_for(context, project, version)
    adapter = context.store.rounds.adapter(project_id, version)
    assert adapter is not None, f"adapter {version} of project {project_id} was never recorded"
    tasks = to_score(context, project_id, options, learned(adapter), halvings=halvings)
    with context.progress(project_id, f"scoring {len(tasks.ids)} texts") as progress:
        learner = load(context, project_id, version, halvings=halvings)
        try:
            local.score(
                context.store.files.scores(project_id, version), learner, stored(context.store, project_id, tasks),
                asked.scored(options, strategy, learned(adapter)),
                gradient=asked.gradient_options(options), uncertainty=asked.uncertainty_options(options),
                progress=progress, cluster=context.cluster,
            )  # fmt: skip
        finally:
            learner.unload()

"""Adapter + texts → scores: the arrays that the strategy requires, and the outputs that `/predict` returns."""

from __future__ import annotations

from backend.pool import local
from backend.pool.texts import stored
from backend.rounds import adapters
from backend.rounds.context import ProjectRun
from backend.rounds.selection import strategy
from backend.rounds.selection.prefilter import to_score


def score(run: ProjectRun) -> None:
    """Score every text of the project, labeled ones too: *Retrieve Predictions* requests all of them at once.

    With `shortlist`, only those that may be selected; other texts are scored when `/predict` needs them.
    """
    if run.version == 0:
        return
    options, targets = run.options, adapters.learned(adapters.find(run, run.version))
    chosen = strategy.strategy_for(run, run.version)
    tasks = to_score(run, targets)
    with run.progress(f"scoring {len(tasks.ids)} texts") as progress:
        learner = adapters.load(run, run.version)
        try:
            local.score(
                run.store.files.scores(run.id, run.version), learner, stored(run.store, run.id, tasks),
                strategy.scored(options, chosen, targets),
                gradient=strategy.gradient_options(options), uncertainty=strategy.uncertainty_options(options),
                progress=progress, cluster=run.cluster,
            )  # fmt: skip
        finally:
            learner.unload()

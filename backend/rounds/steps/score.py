"""Adapter + texts → scores: the arrays that the strategy requires, and the outputs that `/predict` returns."""

from __future__ import annotations

from backend.pool import local
from backend.pool.texts import stored
from backend.rounds import adapters
from backend.rounds.context import ProjectRun
from backend.rounds.selection import strategy
from backend.rounds.selection.prefilter import to_score

_MANY = 50_000  # texts, whose features would take too much disk


def score(run: ProjectRun) -> None:
    """Score every text of the project, labeled ones too: *Retrieve Predictions* requests all of them at once.

    With `shortlist`, only those that may be selected; other texts are scored when `/predict` needs them.
    """
    if run.version == 0:
        return
    options, targets = run.options, adapters.learned(adapters.find(run, run.version))
    chosen = strategy.strategy_for(run, run.version)
    tasks = to_score(run, targets)
    wanted = strategy.scored(options, chosen, targets)
    if strategy.reacts(options, chosen, targets) and len(tasks.ids) <= _MANY:
        wanted["features"] = "features"  # for heads that are refitted between rounds
    with run.progress(f"scoring {len(tasks.ids)} texts") as progress:
        learner = adapters.load(run, run.version)
        try:
            local.score(
                run.scores, learner, stored(run.store, run.id, tasks),
                wanted,
                gradient=strategy.gradient_options(options), uncertainty=strategy.uncertainty_options(options),
                progress=progress, cluster=run.cluster,
            )  # fmt: skip
        finally:
            learner.unload()

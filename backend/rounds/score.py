"""Adapter + texts → scores: what the strategy asks for, and what `/predict` will answer with."""

from __future__ import annotations

import strategies
from backend.pool import fields, local
from backend.rounds.context import Context, options_of
from backend.rounds.train import gradient_options, load


def score(context: Context, project_id: int, version: int) -> None:
    """Score every text of the project, labeled ones too: *Retrieve Predictions* asks for all of them at once."""
    if version == 0:
        return
    options = options_of(context.project(project_id))
    tasks = context.store.tasks.every(project_id)
    strategy = strategies.get(options.strategy, **options.strategy_options)
    wanted = fields.arrays(strategy.requires) & fields.SCORED
    with context.computing, context.bar(f"project {project_id}: scoring {len(tasks)} texts") as progress:
        classifier = load(context, project_id, version)
        try:
            local.score(
                context.store.files, project_id, version, classifier, tasks, wanted,
                gradient=gradient_options(options), progress=progress,
            )  # fmt: skip
        finally:
            classifier.unload()

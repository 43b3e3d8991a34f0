"""Adapter + texts → scores: what the strategy asks for, and what `/predict` will answer with."""

from __future__ import annotations

import strategies
from backend.pool import local
from backend.rounds.context import Context, options_of
from backend.rounds.train import load

_FROM_FEATURES = {"features", "labeled_features"}


def score(context: Context, project_id: int, version: int) -> None:
    """Score every text of the project, labeled ones too: *Retrieve Predictions* asks for all of them at once."""
    if version == 0:
        return
    options = options_of(context.project(project_id))
    tasks = context.store.tasks.every(project_id)
    strategy = strategies.get(options.strategy, **options.strategy_options)
    features = bool(strategy.requires & _FROM_FEATURES)
    with context.computing, context.bar(f"project {project_id}: scoring {len(tasks)} texts") as progress:
        classifier = load(context, project_id, version)
        try:
            local.score(
                context.store.files, project_id, version, classifier, tasks, features=features, progress=progress
            )
        finally:
            classifier.unload()

"""Adapter + texts → scores: what the strategy asks for, and what `/predict` will answer with."""

from __future__ import annotations

from backend.pool import local
from backend.rounds import asked
from backend.rounds.context import Context, options_of
from backend.rounds.train import load, strategy_now


def score(context: Context, project_id: int, version: int) -> None:
    """Score every text of the project, labeled ones too: *Retrieve Predictions* asks for all of them at once."""
    if version == 0:
        return
    project = context.project(project_id)
    options = options_of(project)
    tasks = context.store.tasks.every(project_id)
    strategy = strategy_now(context, project)
    with context.computing, context.bar(f"project {project_id}: scoring {len(tasks)} texts") as progress:
        classifier = load(context, project_id, version)
        try:
            local.score(
                context.store.files, project_id, version, classifier, tasks, asked.scored(options, strategy),
                gradient=asked.gradient_options(options), progress=progress,
            )  # fmt: skip
        finally:
            classifier.unload()

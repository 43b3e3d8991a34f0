"""Put the round's adapter into service: from here on `/predict` answers with it."""

from __future__ import annotations

from backend.errors import BackendError
from backend.rounds.context import ProjectRun


def serve(run: ProjectRun) -> None:
    """Switch the project to the adapter. Ends a rollback."""
    back_to = run.round.back_to
    if run.version and run.rounds.adapter(run.version) is None:
        raise BackendError(f"adapter {run.version} is unknown, because an older state was restored; start a round")
    run.store.projects.set(run.id, adapter=run.version, head=0, head_labels=0)
    if back_to is not None:
        run.rounds.give_up_after(back_to)
        run.store.projects.forget_back_to(run.id, back_to)

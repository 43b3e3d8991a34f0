"""The rounds of a project, and the adapters available for a rollback."""

from __future__ import annotations

from typing import Annotated, Literal, cast

from pydantic import Field
from typing_extensions import TypedDict

from backend.labelstudio.predictions import adapter_version
from backend.overview.quality import Score, score_of
from backend.rounds.adapters import kept
from backend.store import Store
from backend.store.sql.models import Project, Round

Progress = Literal["running", "done", "failed", "cancelled"]


class RoundState(TypedDict):
    """A round. Times are seconds since 1970."""

    round: int
    state: Progress
    reason: str
    error: str | None
    started_at: float
    finished_at: float | None
    seconds: Annotated[dict[str, float], Field(description="Duration by step")]
    labels: Annotated[int, Field(description="Labeled tasks at the start of the round, held-out ones included")]
    candidates: Annotated[int, Field(description="Tasks from which the queue was chosen")]
    strategy: str | None
    why: Annotated[str | None, Field(description="How `auto` divided the queue among strategies")]
    adapter: Annotated[str | None, Field(description="Version in service after the round. Null unless it is done")]
    queue: int | None
    scores: Annotated[dict[str, Score], Field(description="By control. Empty unless the round is done")]


class AdapterState(TypedDict):
    """An adapter whose files are kept."""

    adapter: Annotated[str, Field(description="Version")]
    number: int
    base_model: str
    examples: Annotated[int, Field(description="Labeled texts it was trained on")]
    created_at: Annotated[float, Field(description="Seconds since 1970")]
    in_service: bool


def history(store: Store, project: Project, most: int) -> list[RoundState]:
    """The last rounds, newest first."""
    return [_row(each) for each in reversed(store.of(project.id).rounds.all()[-most:])]


def adapters(store: Store, project: Project) -> list[AdapterState]:
    """The adapters whose files are kept, newest first."""
    found = [store.of(project.id).rounds.adapter(number) for number in kept(store, project.id)]
    return [
        {
            "adapter": adapter_version(project.id, each.number),
            "number": each.number,
            "base_model": each.base_model,
            "examples": each.examples,
            "created_at": each.created_at,
            "in_service": each.number == project.adapter,
        }
        for each in found
        if each is not None
    ]


def _row(each: Round) -> RoundState:
    done = each.state == "done"  # else the scores are of an adapter that is not, or not yet, in service
    controls = (each.evaluation or {}).get("controls", {}) if done else {}
    return {
        "round": each.number,
        "state": cast(Progress, each.state),
        "reason": each.reason,
        "error": each.error,
        "started_at": each.started_at,
        "finished_at": each.finished_at,
        "seconds": each.seconds,
        "labels": each.labels,
        "candidates": each.candidates,
        "strategy": each.strategy,
        "why": (each.choosing or {}).get("why"),
        "adapter": adapter_version(each.project_id, each.adapter) if done else None,
        "queue": each.queue,
        "scores": {name: score_of(found) for name, found in controls.items()},
    }

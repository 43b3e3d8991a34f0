"""The rounds of a project, and the adapters available for a rollback."""

from __future__ import annotations

from typing import Any

from backend.labelstudio.predictions import adapter_version
from backend.rounds.adapters import kept
from backend.store import Store
from backend.store.models import Project, Round


def history(store: Store, project: Project, most: int) -> list[dict[str, Any]]:
    """The last rounds, newest first."""
    return [_row(each) for each in reversed(store.rounds.all(project.id)[-most:])]


def adapters(store: Store, project: Project) -> list[dict[str, Any]]:
    """The adapters whose files are kept, newest first."""
    found = [store.rounds.adapter(project.id, number) for number in kept(store, project.id)]
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


def _row(each: Round) -> dict[str, Any]:
    done = each.state == "done"  # else the scores are of an adapter that is not, or not yet, in service
    controls = (each.evaluation or {}).get("controls", {}) if done else {}
    return {
        "round": each.number,
        "state": each.state,
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
        "scores": {name: {key: found[key] for key in ("metric", "score")} for name, found in controls.items()},
    }

"""The current state of a project."""

from __future__ import annotations

from typing import Any

from backend.errors import UnsupportedConfigError
from backend.labelstudio.predictions import adapter_version
from backend.options import ProjectOptions
from backend.rounds.context import options_of
from backend.rounds.quality.stopping import stopped_by
from backend.store import Store
from backend.store.models import Project, Round
from backend.store.workers import SILENT

_TOO_EARLY = 2.0  # seconds of work before the remaining time is estimated


def summary(store: Store, project: Project) -> dict[str, Any]:
    """A project in short: name, state, labeling progress and scores."""
    evaluation = store.rounds.last(project.id, "evaluation", done=True) or {}
    names = ("metric", "score", "low", "high", "labels")
    return {
        "project": project.id,
        "title": project.title,
        "connected": project.connected,
        "state": state(store, project),
        "error": project.error,
        "adapter": adapter_version(project.id, project.adapter),
        "round": project.round,
        "labels": store.tasks.count_labeled(project.id),
        "tasks": store.tasks.count(project.id),
        "scores": {
            control: {name: found[name] for name in names} for control, found in evaluation.get("controls", {}).items()
        },
    }


def state(store: Store, project: Project) -> dict[str, Any]:
    """`name` of the state, with its details.

    left, no_worker, working (`step`, `round`, `share`, `seconds_left`), trouble, stopped, paused, starting,
    all_labeled, or waiting (`missing` labels). Times are seconds since 1970.
    """
    last = store.rounds.get(project.id, project.round)
    try:
        options = options_of(project)
    except UnsupportedConfigError:  # the environment changed after they were accepted
        return {"name": "trouble"}
    if not project.connected:
        return {"name": "left"}
    worker = store.workers.newest()
    if worker is None or worker[1] > SILENT:
        return {"name": "no_worker", "since": worker[0].beat_at if worker is not None else None}
    if last is not None and last.state == "running":
        return {"name": "working", "step": last.step, "round": last.number, "since": last.started_at, **_progress(last)}
    if project.error is not None:
        return {"name": "trouble"}
    published = last.finished_at if last is not None and last.queue is not None else None
    return {**_idle(store, project, options), "published_at": published}


def _idle(store: Store, project: Project, options: ProjectOptions) -> dict[str, Any]:
    stopped = stopped_by(project, options)
    if stopped is not None:
        return {"name": "stopped", "why": stopped["why"], "since": stopped["at"]}
    if project.paused:
        return {"name": "paused"}
    if not project.round:
        return {"name": "starting"}
    missing = options.batch_size - store.tasks.count_new_labels(project.id)
    open_ones = store.tasks.count_open_tasks(project.id)
    if not open_ones:
        return {"name": "all_labeled"}
    return {"name": "waiting", "missing": max(1, min(missing, open_ones))}


def _progress(last: Round) -> dict[str, Any]:
    """Progress of the running step, if it reports any."""
    progress = last.progress
    if progress is None or not progress["total"]:
        return {"share": None, "seconds_left": None}
    took, done = progress["at"] - progress["since"], progress["done"]
    left = took * (progress["total"] - done) / done if done and took >= _TOO_EARLY else None
    return {"share": min(1.0, done / progress["total"]), "seconds_left": left}

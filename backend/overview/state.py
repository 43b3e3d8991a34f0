"""The current state of a project."""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from backend.errors import UnsupportedConfigError
from backend.labelstudio.predictions import adapter_version
from backend.options import ProjectOptions
from backend.overview.first_steps import FirstStep, first_steps
from backend.overview.quality import Score, score_of
from backend.rounds.adapters import learned
from backend.rounds.batch import labels_of_batch
from backend.rounds.context import chooses_encoder, options_of
from backend.rounds.quality.stopping import stopped_by
from backend.store import Store
from backend.store.sql.models import Project, Round
from backend.store.workers import SILENT

_COMPUTING = ("train", "score", "evaluate", "select", "judge")  # steps of which one runs at a time
_CURRENT = 10.0  # seconds since a computation last reported
_TOO_EARLY = 2.0  # seconds of work before the remaining time is estimated


class State(TypedDict):
    """What a project is doing. Times are seconds since 1970."""

    name: Literal[
        "left", "no_worker", "working", "trouble", "stopped", "paused", "starting", "all_labeled", "waiting"
    ]  # fmt: skip
    step: NotRequired[Annotated[str, Field(description="Running step")]]
    round: NotRequired[Annotated[int, Field(description="Running round")]]
    share: NotRequired[Annotated[float | None, Field(description="Progress of the step, 0 to 1. Null: unknown")]]
    seconds_left: NotRequired[Annotated[float | None, Field(description="Of the step. Null: unknown")]]
    behind: NotRequired[
        Annotated[int | None, Field(description="Project whose computation the step waits for, with its seconds left")]
    ]
    since: NotRequired[Annotated[float | None, Field(description="Start of the state. Null: unknown")]]
    missing: NotRequired[Annotated[int, Field(description="Labels until the next round")]]
    published_at: NotRequired[Annotated[float | None, Field(description="When the queue in force was published")]]
    why: NotRequired[Annotated[str, Field(description="Why labeling may stop")]]


class Summary(TypedDict):
    """A project."""

    project: Annotated[int, Field(description="ID of the project in Label Studio")]
    title: str
    connected: bool
    state: State
    error: Annotated[str | None, Field(description="What needs attention")]
    adapter: Annotated[str, Field(description="Version in service")]
    round: int
    labels: Annotated[int, Field(description="Labeled tasks, held-out ones included")]
    tasks: int
    scores: Annotated[dict[str, Score], Field(description="Last held-out score by control")]


class Stopping(TypedDict, total=False):
    """When to stop labeling, as of a round."""

    hours: Annotated[float, Field(description="Labeling time")]
    agreement: Annotated[
        dict[str, Any],
        Field(description="Cohen's kappa of its predictions with those of the former adapter, by control"),
    ]
    settled: Annotated[bool, Field(description="Whether predictions stopped changing")]
    forecast: Annotated[
        dict[str, Any] | None,
        Field(description="Labels still needed until the target is surely reached. Null: unknown"),
    ]
    look: Annotated[dict[str, Any] | None, Field(description="The last check of the targets. Null: no target")]


class Stopped(TypedDict):
    """Why labeling may stop, and since when."""

    why: str
    round: int
    labels: int
    at: Annotated[float, Field(description="Seconds since 1970")]


class BaseModel(TypedDict):
    """The base model of a project that leaves the choice to this backend."""

    name: str
    by: Annotated[
        Literal["texts", "names", "labels", "person", "upgrade"],
        Field(
            description="What decided: the texts' language, how well class names separate the texts, a comparison on "
            "labels, a person, or an earlier release"
        ),
    ]
    better: Annotated[str | None, Field(description="Another one that was right more often on training labels")]
    gain: Annotated[float | None, Field(description="By how much, from 0 to 1")]
    error: Annotated[float | None, Field(description="Standard error of the gain")]
    labels: Annotated[int | None, Field(description="Training labels at the comparison. Null: not compared yet")]


class Suggestions(TypedDict):
    """Whether annotators see the suggestions of a control, by labels that the suggesting model did not know."""

    shown: bool
    right: Annotated[float, Field(description="Right ones of the suggested spans, labels or answers (sum of chrF)")]
    given: Annotated[int, Field(description="Suggested spans, labels or answers that could be compared")]


class ProjectState(Summary):
    """A project with the results of its last rounds."""

    paused: bool
    base_model: Annotated[BaseModel | None, Field(description="Null: named by the options, or not chosen yet")]
    unknown: Annotated[
        float | None,
        Field(description="Share of the texts' word pieces that the base model does not know. Null: not measured yet"),
    ]
    chosen_strategy: Annotated[
        str | None, Field(description="Chosen on the dashboard or by the API, in place of that of the options")
    ]
    strategy: Annotated[str | None, Field(description="Strategy that chose the last queue")]
    choosing: Annotated[dict[str, Any] | None, Field(description="How `auto` divided the queue, and why")]
    evaluation: Annotated[dict[str, Any] | None, Field(description="Last held-out scores: docs/evaluation.md")]
    suggestions: Annotated[dict[str, Suggestions], Field(description="By control whose suggestions may be held back")]
    first_steps: Annotated[list[FirstStep], Field(description="Until the first score. Empty: all are done")]
    review: Annotated[
        dict[str, Any] | None,
        Field(description="By control: labels that are rather wrong than right, how many seem wrong, and agreement"),
    ]
    stopping: Annotated[Stopping | None, Field(description="Of the last round. Null: no round yet")]
    stopped: Annotated[Stopped | None, Field(description="Set once labeling may stop")]


def details(store: Store, project: Project) -> ProjectState:
    """A project with the results of its last rounds: how good the model is, and whether labeling may stop."""
    last, stopped = store.of(project.id).rounds.last, stopped_by(project, options_of(project))
    return {
        **summary(store, project),
        "paused": project.paused,
        "base_model": base_model(project),
        "unknown": project.encoder.get("unknown"),
        "chosen_strategy": project.chosen_strategy,
        "strategy": last("strategy"),
        "choosing": last("choosing"),
        "evaluation": last("evaluation"),
        "suggestions": suggestions(store, project),
        "first_steps": first_steps(store, project),
        "review": last("review"),
        "stopping": last("stopping"),
        "stopped": None
        if stopped is None
        else {"why": stopped["why"], "round": stopped["round"], "labels": stopped["labels"], "at": stopped["at"]},
    }


def suggestions(store: Store, project: Project) -> dict[str, Suggestions]:
    """By control: whether its suggestions are shown, and why; empty where they always are, or never."""
    adapter = store.of(project.id).rounds.adapter(project.adapter)
    if adapter is None or options_of(project).pre_annotate != "auto":
        return {}
    if not adapter.examples:
        return {target.name: {"shown": True, "right": 0, "given": 0} for target in learned(adapter)}
    last = store.of(project.id).rounds.last("suggestions", done=True) or {}
    return {
        target.name: {
            "shown": not target.held_back,
            "right": last[target.name]["right"],
            "given": last[target.name]["given"],
        }
        for target in learned(adapter)
        if target.name in last and (target.held_back or last[target.name]["given"])
    }


def base_model(project: Project) -> BaseModel | None:
    """The base model that was chosen for a project; None if its options name one, or there were no texts yet."""
    encoder = project.encoder
    if not chooses_encoder(project) or "base_model" not in encoder:
        return None
    compared = encoder.get("compared", {})
    better = compared.get("better")
    there = better is not None and better != encoder["base_model"]
    return {
        "name": encoder["base_model"],
        "by": encoder["by"],
        "better": better if there else None,
        "gain": compared["gain"] if there else None,
        "error": compared["error"] if there else None,
        "labels": compared.get("labels"),
    }


def summary(store: Store, project: Project) -> Summary:
    """A project in short: name, state, labeling progress and scores."""
    evaluation = store.of(project.id).rounds.last("evaluation", done=True) or {}
    return {
        "project": project.id,
        "title": project.title,
        "connected": project.connected,
        "state": state(store, project),
        "error": project.error,
        "adapter": adapter_version(project.id, project.adapter),
        "round": project.round,
        "labels": store.of(project.id).tasks.count_labeled(),
        "tasks": store.of(project.id).tasks.count(),
        "scores": {control: score_of(found) for control, found in evaluation.get("controls", {}).items()},
    }


def state(store: Store, project: Project) -> State:
    """`name` of the state, with its details.

    left, no_worker, working (`step`, `round`, `share`, `seconds_left`), trouble, stopped, paused, starting,
    all_labeled, or waiting (`missing` labels). Times are seconds since 1970.
    """
    last = store.of(project.id).rounds.get(project.round)
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
        share, left = _progress(last)
        other = _computing(store, project.id) if share is None and last.step in _COMPUTING else None
        return {
            "name": "working",
            "step": last.step,
            "round": last.number,
            "since": last.started_at,
            "share": share,
            "seconds_left": left if other is None else _progress(other)[1],
            "behind": None if other is None else other.project_id,
        }
    if project.error is not None:
        return {"name": "trouble"}
    published = last.finished_at if last is not None and last.queue is not None else None
    return {**_idle(store, project, options, last), "published_at": published}


def _idle(store: Store, project: Project, options: ProjectOptions, last: Round | None) -> State:
    stopped = stopped_by(project, options)
    if stopped is not None:
        return {"name": "stopped", "why": stopped["why"], "since": stopped["at"]}
    if project.paused:
        return {"name": "paused"}
    if not project.round:
        return {"name": "starting"}
    mine = store.of(project.id)
    missing, open_ones = options.batch_size - labels_of_batch(mine, last), mine.tasks.count_open_tasks()
    open_ones += len(mine.second_opinions.waiting())
    if not open_ones:
        return {"name": "all_labeled"}
    return {"name": "waiting", "missing": max(1, min(missing, open_ones))}


def _computing(store: Store, project_id: int) -> Round | None:
    """The round of another project that computes now; None also where several workers share a database."""
    if store.database.file is None:
        return None
    running = (each for each in store.rounds.newest() if each.state == "running" and each.project_id != project_id)
    return next((each for each in running if each.progress and time.time() - each.progress["at"] < _CURRENT), None)


def _progress(last: Round) -> tuple[float | None, float | None]:
    """Share of the running step that is done, and seconds left; None: unknown."""
    progress = last.progress
    if progress is None or not progress["total"]:
        return None, None
    took, done = progress["at"] - progress["since"], progress["done"]
    left = took * (progress["total"] - done) / done if done and took >= _TOO_EARLY else None
    return min(1.0, done / progress["total"]), left

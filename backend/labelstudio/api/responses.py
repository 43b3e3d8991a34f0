"""Responses of Label Studio's API about projects, tasks and ML backends, reduced to the fields used here."""

from __future__ import annotations

from typing import Any, NamedTuple


class ProjectInfo(NamedTuple):
    """The fields of a project that a round needs."""

    label_config: str
    sampling: str | None
    model_version: str
    task_number: int
    annotated: int  # tasks with an annotation that is neither a skip nor ground truth
    shows_predictions: bool  # if False, Label Studio clears the version that orders the queue
    overlap: int  # required annotators per task
    title: str
    trains_on_submission: bool  # sends START_TRAINING at every submission


class ListedTask(NamedTuple):
    """A task without its annotations, which is fast to list."""

    id: int
    data: dict[str, Any]
    has_annotations: bool  # including skips
    updated_at: str


class AnnotatedTask(NamedTuple):
    """A task with all its annotations."""

    id: int
    data: dict[str, Any]
    annotations: list[dict[str, Any]]
    updated_at: str


class ConnectedBackend(NamedTuple):
    """An ML backend connected to a project."""

    id: int
    url: str
    title: str
    error: str | None  # of Label Studio's latest call to it; None if it succeeded
    extra_params: Any

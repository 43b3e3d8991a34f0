"""What Label Studio tells of projects, tasks and ML backends, as far as we need it."""

from __future__ import annotations

from typing import Any, NamedTuple


class ProjectInfo(NamedTuple):
    """What a round needs to know of a project in Label Studio."""

    label_config: str
    sampling: str | None
    model_version: str
    task_number: int
    annotated: int  # tasks with an annotation that is neither a skip nor ground truth
    shows_predictions: bool  # if not, Label Studio forgets the version that orders the queue
    overlap: int  # annotators a task is to have
    title: str


class ListedTask(NamedTuple):
    """A task as the cheap listing gives it."""

    id: int
    data: dict[str, Any]
    has_annotations: bool  # skips included
    updated_at: str


class AnnotatedTask(NamedTuple):
    """A task with all its annotations."""

    id: int
    data: dict[str, Any]
    annotations: list[dict[str, Any]]
    updated_at: str


class ConnectedBackend(NamedTuple):
    """An ML backend as its project knows it."""

    id: int
    url: str
    title: str
    error: str | None  # what Label Studio met when it called it just now
    extra_params: Any

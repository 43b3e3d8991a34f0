"""Response bodies that no function of `backend/overview` returns."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from backend.overview.audit import Entry
from backend.overview.history import AdapterState, RoundState
from backend.overview.labels import Errors, Suspect
from backend.overview.state import Summary
from backend.overview.unlearned import Unlearned, WithoutText


class Refusal(TypedDict):
    """Why a request is refused. The same sentence is the HTTP reason phrase."""

    error: str


class Health(TypedDict):
    """The server runs."""

    status: Literal["UP"]
    model_class: str
    version: NotRequired[str]


class Ready(TypedDict):
    """The state of each part: `ok`, or what is wrong and what to do."""

    database: str
    queue: str
    worker: str
    label_studio: str


class ModelVersion(TypedDict):
    """The adapter version in service."""

    model_version: str


class Versions(TypedDict):
    """All adapter versions."""

    versions: list[str]


class Prediction(TypedDict):
    """The prediction for a task, as Label Studio stores it."""

    result: list[dict[str, Any]]
    score: float | None
    model_version: str


class Predictions(TypedDict):
    """The predictions for tasks, in the order of the request."""

    results: list[
        Prediction | Annotated[list[Any], Field(max_length=0, description="No adapter yet, or a task without text")]
    ]
    model_version: NotRequired[str]


class Noted(TypedDict):
    """Whether the event was stored. Events of projects that are not connected are ignored."""

    status: Literal["noted", "ignored"]
    reason: NotRequired[str]


class Accepted(TypedDict):
    """The request is stored for the worker."""

    status: Literal["asked for"]


class Projects(TypedDict):
    """All projects."""

    projects: list[Summary]


class Rounds(TypedDict):
    """The last rounds, newest first."""

    rounds: list[RoundState]


class Suspects(TypedDict):
    """Labels that are rather wrong than right, the worst first, and how many seem wrong in all."""

    suspects: list[Suspect]
    errors: Annotated[dict[str, Errors], Field(description="By control")]


class NotLearned(TypedDict):
    """What is not learned from."""

    labels: Annotated[list[Unlearned], Field(description="By control and reason, the most frequent first")]
    without_text: Annotated[WithoutText | None, Field(description="Null: every task has a text")]


class AuditTrail(TypedDict):
    """Actions, newest first."""

    entries: list[Entry]


class Adapters(TypedDict):
    """The adapters whose files are kept, newest first."""

    adapters: list[AdapterState]

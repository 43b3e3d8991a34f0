"""Parameters in the paths of the API."""

from __future__ import annotations

from typing import Annotated

from pydantic import WithJsonSchema

from backend.errors import InvalidRequestError
from backend.overview.export import FORMATS
from backend.store import Store
from backend.store.sql.models import Project

ProjectId = Annotated[
    str,
    WithJsonSchema(
        {"type": "integer", "minimum": 1, "maximum": 2**31 - 1, "description": "ID of the project in Label Studio"}
    ),
]
TaskId = Annotated[
    str,
    WithJsonSchema(
        {"type": "integer", "minimum": 0, "maximum": 10**18 - 1, "description": "ID of the task in Label Studio"}
    ),
]
AdapterNumber = Annotated[
    str,
    WithJsonSchema(
        {"type": "integer", "minimum": 0, "maximum": 10**18 - 1, "description": "Number of the adapter: 12 of p7-a12"}
    ),
]


ExportFormat = Annotated[str, WithJsonSchema({"type": "string", "enum": list(FORMATS)})]


def project_of(store: Store, project_id: str) -> Project:
    """The project with this ID. Raises `InvalidRequestError` if there is none."""
    return store.projects.known(number_of(project_id))


def number_of(value: str) -> int:
    """The number in a path. Raises `InvalidRequestError` if it is none."""
    if not value.isascii() or not value.isdigit() or len(value) > 18:
        raise InvalidRequestError(f"'{value[:20]}' is not the number of a project, a task or an adapter")
    return int(value)

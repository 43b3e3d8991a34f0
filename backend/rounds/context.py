"""What every step of a round needs, handed in by the composition root."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from backend.errors import BackendError
from backend.labelstudio.client import Client
from backend.labelstudio.label_config import parse
from backend.labelstudio.task_spec import TaskSpec
from backend.learners.base import Progress
from backend.learners.base_model import BaseModels
from backend.settings import ProjectOptions
from backend.store import Store
from backend.store.models import Adapter, Project
from backend.targets import Target


@dataclass(frozen=True)
class Context:
    """The parts a round works with."""

    store: Store
    client: Client
    models: BaseModels
    bar: Callable[[str], AbstractContextManager[Progress]]  # a progress bar under a title
    keep_adapters: int = 3  # versions to go back to
    min_free_mb: int = 0  # megabytes of disk without which no round begins
    computing: threading.Lock = field(default_factory=threading.Lock)  # one model at work at a time in this process

    def project(self, project_id: int) -> Project:
        """The project. Raises `BackendError` if it never connected."""
        found = self.store.projects.get(project_id)
        if found is None:
            raise BackendError(
                f"project {project_id} is not known here; connect this backend to it in Settings → Model"
            )
        return found


def options_of(project: Project) -> ProjectOptions:
    """The project's options, with today's environment as defaults."""
    return ProjectOptions.from_extra_params(project.options)


def learned(adapter: Adapter) -> tuple[Target, ...]:
    """What an adapter learned."""
    return tuple(Target.from_json(each) for each in adapter.targets)


def spec_of(project: Project) -> TaskSpec:
    """What the project's label config asks to learn."""
    return parse(project.label_config, options_of(project).ignore_controls)

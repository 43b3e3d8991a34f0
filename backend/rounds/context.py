"""What every step of a round needs, handed in by the composition root."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

import strategies
from backend.errors import BackendError
from backend.labelstudio.client import Client
from backend.labelstudio.label_config import parse
from backend.labelstudio.task_spec import TaskSpec
from backend.learners.base import Progress
from backend.learners.models import BaseModels
from backend.options import ProjectOptions
from backend.pool.cluster import Cluster
from backend.store import Store
from backend.store.models import Adapter, Project
from backend.targets import Target

_NOTED_EVERY = 1.0  # seconds


@dataclass(frozen=True)
class Context:
    """The parts a round works with."""

    store: Store
    client: Client
    models: BaseModels
    bar: Callable[[str], AbstractContextManager[Progress]]  # a progress bar under a title
    keep_adapters: int = 3  # versions to go back to
    notify: Callable[[str], bool] | None = None  # tell this to whoever asked for it; whether it arrived
    min_free_mb: int = 0  # megabytes of disk without which no round begins
    cluster: Cluster | None = None  # where pools are scored, if not in this process
    accelerate_config: Path | None = None  # by which training runs in processes of its own
    computing: threading.Lock = field(default_factory=threading.Lock)  # one model at work at a time in this process

    def project(self, project_id: int) -> Project:
        """The project. Raises `BackendError` if it never connected."""
        found = self.store.projects.get(project_id)
        if found is None:
            raise BackendError(
                f"project {project_id} is not known here; connect this backend to it in Settings → Model"
            )
        return found

    def taken_over(self, project_id: int) -> Context:
        """The same for one workflow of a project, from which whoever worked on it before has it taken.

        A process that was only frozen, or cut off, and goes on later finds that it may write nothing: neither to the
        store nor to Label Studio. Its calls raise `FencedError`.
        """
        store = self.store.fenced(self.store.projects.take_over(project_id))
        return replace(self, store=store, client=self.client.guarded(store.database.require))

    @contextmanager
    def progress(self, project_id: int, title: str) -> Iterator[Progress]:
        """A progress bar under a title, which is noted with the running round, too, for the web server to show."""
        since, noted = time.time(), time.monotonic()
        number = self.project(project_id).round

        def note(done: int, total: int) -> None:
            nonlocal noted
            shown(done, total)
            if time.monotonic() - noted >= _NOTED_EVERY:
                noted = time.monotonic()
                progress = {"done": done, "total": total, "since": since, "at": time.time()}
                with suppress(SQLAlchemyError):  # a full disk is told by what must be written
                    self.store.rounds.set(project_id, number, progress=progress)

        with self.bar(f"project {project_id}: {title}") as shown:
            yield note


def options_of(project: Project) -> ProjectOptions:
    """The project's options, with today's environment as defaults, and a strategy chosen on the dashboard first."""
    options, chosen = ProjectOptions.from_extra_params(project.options), project.chosen_strategy
    return options.with_strategy(chosen) if chosen in strategies.names() else options


def learned(adapter: Adapter) -> tuple[Target, ...]:
    """What an adapter learned."""
    return tuple(Target.from_json(each) for each in adapter.targets)


def spec_of(project: Project) -> TaskSpec:
    """What the project's label config asks to learn."""
    return parse(project.label_config, options_of(project).ignore_controls)

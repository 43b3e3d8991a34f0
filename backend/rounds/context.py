"""What every step of a round needs: the parts that the composition root hands in, and the project it works on."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self, TypedDict, TypeVar

from sqlalchemy.exc import SQLAlchemyError

import strategies
from backend.errors import BackendError, CancelledError, FencedError, TimeOverError
from backend.labelstudio.api.client import Client
from backend.labelstudio.label_config.parse import parse
from backend.labelstudio.label_config.task_spec import TaskSpec
from backend.learners.base import Progress
from backend.learners.models.cache import BaseModels
from backend.learners.models.languages import ENGLISH
from backend.options import AUTO, ProjectOptions
from backend.pool.cluster import Cluster
from backend.rounds.computing import Computing
from backend.rounds.events import CANCEL, CANCELLED
from backend.store import Store
from backend.store.annotations import Annotations
from backend.store.files.shards import Shards
from backend.store.finishes import Finishes
from backend.store.rounds import Rounds
from backend.store.second_opinions import SecondOpinions
from backend.store.sql.models import Project, Round
from backend.store.tasks import Tasks

log = logging.getLogger(__name__)

_PROGRESS_EVERY = 1.0  # seconds between writes of a step's progress
_T = TypeVar("_T")


class Events(TypedDict):
    """The events that a turn accounts for."""

    mark: int  # up to this event
    actions: list[str]  # their kinds


@dataclass(frozen=True, kw_only=True)
class Context:
    """The parts that rounds of all projects share."""

    store: Store
    client: Client
    models: BaseModels
    bar: Callable[[str], AbstractContextManager[Progress]]  # a progress bar under a title
    keep_adapters: int = 3  # versions that `lsal rollback` can go back to
    notify: Callable[[str], bool] | None = None  # sends a message to NOTIFY_URL; returns whether it arrived
    min_free_mb: int = 0  # megabytes of free disk that a round needs to begin
    cluster: Cluster | None = None  # where pools are scored; None: in this process
    accelerate_config: Path | None = None  # of training in processes of its own; None: in this process
    watch: Callable[[Any], Callable[[], None]] | None = None  # of a `ProjectRun`: what a long computation calls often
    max_hours: float = 6.0  # that one computation of a round may take
    computing: Computing = field(default_factory=Computing)  # of this process
    compared: set[int] = field(default_factory=set)  # projects whose queues this process compared with Label Studio

    def open(self, project_id: int) -> ProjectRun:
        """A `ProjectRun` for one project. Nothing is read before it is needed."""
        return ProjectRun(**{each.name: getattr(self, each.name) for each in fields(Context)}, id=project_id)


@dataclass(frozen=True, kw_only=True)
class ProjectRun(Context):
    """One project in a round: its settings as first read, and the results of the steps so far.

    Settings are cached; `fresh()` reads them again.
    """

    id: int
    turn: int = 0  # number of the workflow
    events: Events = field(default_factory=lambda: Events(mark=0, actions=[]))
    sync_seconds: float = 0.0
    number: int | None = None  # of the round; None: no round is due
    version: int = 0  # of the adapter that the round trained or kept; 0: none
    head: int = 0  # how often that adapter's head was refitted
    queue: int | None = None  # of the new queue; None: the team orders its queue itself
    batch_shrink: int = 0  # how often batches are halved, because memory ran out

    @cached_property
    def project(self) -> Project:
        """The project's row. Raises `UnknownError` if it never connected."""
        return self.store.projects.known(self.id)

    @cached_property
    def options(self) -> ProjectOptions:
        """The project's options, see `options_of`."""
        return options_of(self.project)

    @cached_property
    def spec(self) -> TaskSpec:
        """What the label config defines to learn. Raises `UnsupportedConfigError`."""
        return spec_of(self.project)

    @property
    def tasks(self) -> Tasks:
        """The project's tasks."""
        return self.store.of(self.id).tasks

    @property
    def annotations(self) -> Annotations:
        """The project's annotations."""
        return self.store.of(self.id).annotations

    @property
    def second_opinions(self) -> SecondOpinions:
        """The project's second opinions."""
        return self.store.of(self.id).second_opinions

    @property
    def rounds(self) -> Rounds:
        """The project's rounds, adapters and queues."""
        return self.store.of(self.id).rounds

    @property
    def finishes(self) -> Finishes:
        """The project's requests to label the rest by the model."""
        return self.store.of(self.id).finishes

    @property
    def scores(self) -> Shards:
        """The outputs of adapter and head for each text."""
        return self.store.files.scores(self.id, self.version, self.head)

    @property
    def round(self) -> Round:
        """The row of the running round. Raises `BackendError` if a restored state lacks it."""
        assert self.number is not None
        found = self.rounds.get(self.number)
        if found is None:
            raise BackendError(f"round {self.number} is unknown, because an older state was restored")
        return found

    def fresh(self) -> Self:
        """A copy that reads the settings again."""
        return replace(self)

    def set(self, **values: Any) -> Self:
        """Write columns of the project's row. Returns a copy that reads the settings again."""
        self.store.projects.set(self.id, **values)
        return self.fresh()

    def with_base_model(self, name: str) -> Self:
        """A copy whose options name another base model."""
        other = replace(self)
        vars(other)["options"] = self.options.model_copy(update={"base_model": name})  # in place of the cached property
        return other

    def take_over(self) -> Self:
        """A copy with a new fencing token.

        A worker that had the project before, frozen or cut off, can no longer write to the store or to Label Studio:
        its calls raise `FencedError`.
        """
        store = self.store.fenced(self.store.projects.take_over(self.id))
        return replace(self, store=store, client=self.client.guarded(store.database.require))

    def attempt(self, what: str, function: Callable[[], _T]) -> _T | None:
        """The result of `function`; None, with a log entry, if it fails. For results that no round depends on."""
        try:
            return function()
        except FencedError:
            raise
        except CancelledError as error:
            log.info("project %d: no %s: %s", self.id, what, error)
            return None
        except Exception:
            log.exception("project %d: could not compute %s", self.id, what)
            return None

    def require_wanted(self) -> None:
        """Raise `CancelledError` if the round was cancelled, or the project disconnected, paused or changed meanwhile.

        Outside of rounds: since the project's settings were read.
        """
        now = self.store.projects.get(self.id)
        if now is None or not now.connected:
            raise CancelledError("the project was disconnected")
        begun = self.round if self.number is not None else None
        paused = self.project.paused if begun is None or begun.paused is None else begun.paused
        if now.paused and not paused:
            raise CancelledError("the project was paused")
        if now.options != (self.project.options if begun is None or begun.options is None else begun.options):
            raise CancelledError("the options changed")
        if begun is not None and CANCEL in self.store.events.after(self.id, self.events["mark"])[1]:
            raise CancelledError(CANCELLED)

    def _require_time(self, begun: float) -> None:
        if time.monotonic() - begun > self.max_hours * 3600:
            raise TimeOverError(
                f"a computation took more than {self.max_hours:g} hours (MAX_HOURS), so the project was paused; choose "
                "a smaller base model, fewer max_steps or a smaller shortlist, or raise MAX_HOURS, then resume"
            )

    @contextmanager
    def alone(self, step: str) -> Iterator[None]:
        """Wait for the turn to compute, and keep it. Meanwhile new labels are handled as during a computation."""
        self.models.fetch(self.options.base_model)  # a download is no reason to let others wait
        check = self.watch(self) if self.watch is not None else None

        def meanwhile() -> None:
            with suppress(SQLAlchemyError):
                self.require_wanted()
            if check is not None:
                check()

        with self.computing.turn(f"project {self.id}, the step '{step}'", meanwhile):
            yield

    @contextmanager
    def progress(self, title: str) -> Iterator[Progress]:
        """A progress bar under a title, also stored with the running round for the web server to show."""
        since, written = time.time(), time.monotonic()
        number = self.project.round
        begun, before = time.monotonic(), -1
        check = self.watch(self) if self.watch is not None else None

        def note(done: int, total: int) -> None:
            nonlocal written, before
            shown(done, total)
            if done != before:  # processes that train are polled
                before = done
                self.computing.beat()
            if time.monotonic() - written >= _PROGRESS_EVERY:
                written = time.monotonic()
                progress = {"done": done, "total": total, "since": since, "at": time.time()}
                with suppress(SQLAlchemyError):  # a full disk is reported by writes that matter
                    self.store.of(self.id).rounds.set(number, progress=progress)
                    self.require_wanted()
                self._require_time(begun)
            if check is not None:
                check()

        with self.bar(f"project {self.id}: {title}") as shown:
            yield note


def options_of(project: Project) -> ProjectOptions:
    """The project's options over the environment's defaults; a strategy chosen on the dashboard comes first.

    `base_model` is the chosen one if the options leave the choice to the backend.
    """
    options, chosen = ProjectOptions.from_stored(project.options), project.chosen_strategy
    options = options.with_strategy(chosen) if chosen in strategies.names() else options
    if options.base_model == AUTO:
        options = options.model_copy(update={"base_model": project.encoder.get("base_model", ENGLISH)})
    return with_former(options, project)


def with_former(options: ProjectOptions, project: Project | None) -> ProjectOptions:
    """The options, with the default of an earlier release where the project keeps it."""
    if project is None or options.taxonomy is not None:
        return options
    return options.model_copy(update={"taxonomy": project.taxonomy})


def chooses_encoder(project: Project) -> bool:
    """Whether the project's options leave the choice of the base model to this backend."""
    return ProjectOptions.from_stored(project.options).base_model == AUTO


def spec_of(project: Project) -> TaskSpec:
    """What the project's label config defines to learn. Raises `UnsupportedConfigError`."""
    return parsed(project.label_config, options_of(project))


def parsed(label_config: str, options: ProjectOptions) -> TaskSpec:
    """What a label config defines to learn with these options. Raises `UnsupportedConfigError`."""
    return parse(label_config, options.ignore_controls, context=options.context, taxonomy=options.taxonomy)

"""The adapters in service: loaded once, swapped when a round completes, unloaded when their last request ends."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from uuid import uuid4

import numpy as np
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from backend.errors import BackendError, DamagedError, ModelError, UnsupportedConfigError
from backend.labelstudio.predictions import adapter_version
from backend.learners.base import Arrays, Learner
from backend.learners.kinds import output_names
from backend.learners.models import memory
from backend.learners.models.cache import BaseModels
from backend.learners.models.loading import is_served
from backend.rounds.adapters import learned
from backend.rounds.context import options_of
from backend.rounds.events import DAMAGED
from backend.rounds.served.answer_cache import cached_answers
from backend.rounds.served.llm_meter import LlmMeter
from backend.store import Store
from backend.store.files.shards import Shards, stacked
from backend.store.files.shared import SharedError
from backend.store.sql.models import Project
from backend.store.texts import digest
from backend.targets import Target

log = logging.getLogger(__name__)

_AGAIN = 30.0  # seconds until an unavailable version is tried again
_MANY = 8  # texts in one call from which the memory that their computation took is returned to the system
_COPIES = 3  # newest versions in shared storage that keep a local copy


class _InService:
    """A loaded adapter, its stored scores, and the number of requests that use it."""

    def __init__(self, version: int, learner: Learner, targets: Sequence[Target]) -> None:
        self.version = version
        self.instead_of = version  # the wanted version, which may be damaged or unavailable
        self.until = math.inf  # when to try the wanted version again, `time.monotonic()`
        self.learner = learner
        self.targets = targets  # with the thresholds and temperatures of the last round
        self.scores: Shards | None = None
        self.users = 0

    def serves(self, wanted: int) -> bool:
        """Whether it is in service for the version `wanted`."""
        return self.instead_of == wanted and time.monotonic() < self.until


class Serving:
    """Predicts for all projects of this process."""

    def __init__(self, store: Store, models: BaseModels) -> None:
        self._store = store
        self.models = models
        models.let_go = self._let_go
        self._lock = threading.Lock()  # for the two below; never held while an adapter loads
        self._current: dict[int, _InService] = {}
        self._loading: dict[int, threading.Lock] = {}
        self._projects: dict[int, Project] = {}  # as last read
        self._blank: dict[int, set[int]] = {}  # as last read: tasks of a sample that tests the model
        self._reported: set[tuple[int, int]] = set()  # damaged adapters that the worker knows of: project, version

    def project(self, project_id: int) -> Project | None:
        """The project. If the database cannot be read, as last read, so that serving continues."""
        try:
            found = self._store.projects.get(project_id)
        except DBAPIError as error:
            if project_id not in self._projects:
                raise
            log.error("the database cannot be read (%s); project %d is served as last read", error.orig, project_id)
            return self._projects[project_id]
        if found is not None:
            self._projects[project_id] = found
        return found

    def _llm_budget(self, project_id: int) -> int | None:
        project = self.project(project_id)
        return None if project is None else options_of(project).llm_budget

    def blank(self, project_id: int) -> set[int]:
        """Tasks whose labels may not follow the model: of a sample that tests it, or waiting for a second opinion.

        If the database cannot be read, as last read.
        """
        with suppress(DBAPIError):  # which `project` logs
            of_project = self._store.of(project_id)
            self._blank[project_id] = {*of_project.tasks.sampled(), *of_project.second_opinions.waiting()}
        return self._blank.get(project_id, set())

    def predict(self, project_id: int, texts: Sequence[str]) -> tuple[str, Sequence[Target], Arrays]:
        """Version in service, its targets, and its outputs, one row per text. Stored scores are reused.

        A head that was refitted between rounds answers for the texts that the round has scored; if one of the texts is
        not among them, the adapter answers for all.
        """
        digests = [digest(text) for text in texts]
        with self._lease(project_id) as service:
            targets = self._current_targets(project_id, service)
            project = self._projects.get(project_id)
            if project is not None and project.head and project.adapter == service.version:
                refitted = self._store.files.scores(project_id, service.version, project.head)
                there, outputs = refitted.found(output_names(targets), digests)
                if there.all():
                    return adapter_version(project_id, service.version, project.head), targets, outputs
            known = self._scores(project_id, service)
            there, outputs = known.found(output_names(targets), digests)
            if not there.all():
                missing = [texts[i] for i in np.flatnonzero(~there)]
                fresh = service.learner.predict(missing)
                if len(missing) >= _MANY:
                    memory.trim()
                order = np.argsort(np.concatenate([np.flatnonzero(there), np.flatnonzero(~there)]))
                outputs = {
                    name: stacked(outputs[name], values)[order] if there.any() else values
                    for name, values in fresh.items()
                }
            return adapter_version(project_id, service.version), targets, outputs

    def refuse_unknown(self, base_model: str) -> None:
        """Raise `UnsupportedConfigError` for a model behind a server whose address is not configured."""
        if is_served(base_model):
            try:
                self.models.served(base_model)
            except ModelError as error:
                raise UnsupportedConfigError(f"extra_params.base_model: {error}") from None

    def warm_up(self) -> None:
        """Load the adapters in service at startup, so that the first annotator does not wait."""
        for project in self._store.projects.all():
            if project.adapter:
                try:
                    with self._lease(project.id):
                        pass
                except BackendError as error:
                    log.error("project %d: %s", project.id, error)

    @contextmanager
    def _lease(self, project_id: int) -> Iterator[_InService]:
        service = self._take(project_id)
        self.models.used(service.learner.base.name)
        try:
            yield service
        finally:
            self._release(project_id, service)

    def _acquire(self, project_id: int) -> _InService | None:
        """The adapter in service, counted as in use in the same moment, so that nobody unloads it. Release it later."""
        with self._lock:
            if (service := self._current.get(project_id)) is not None:
                service.users += 1
            return service

    def _release(self, project_id: int, service: _InService) -> None:
        """Unload the adapter after its last user if another one is in service."""
        with self._lock:
            service.users -= 1
            retired = not service.users and self._current.get(project_id) is not service
        if retired:
            service.learner.unload()

    def _take(self, project_id: int) -> _InService:
        """The adapter in service. One request loads a new version; meanwhile the old one serves all others."""
        wanted = self._wanted(project_id)
        with self._lock:
            loading = self._loading.setdefault(project_id, threading.Lock())
        service = self._acquire(project_id)
        if service is not None:
            if loading.locked() or service.serves(wanted):
                return service
            self._release(project_id, service)
        with loading:
            wanted = self._wanted(project_id)
            former = self._acquire(project_id)
            if former is not None and former.serves(wanted):  # loaded by another request
                return former
            try:
                fresh = self._load_or_older(project_id, wanted, former)
                with self._lock:
                    fresh.users += 1
                    self._current[project_id] = fresh
                return fresh
            finally:
                if former is not None:
                    self._release(project_id, former)

    def _let_go(self, base_model: str) -> None:
        """Retire the adapters of a base model, which is freed once the last request that uses them ends."""
        with self._lock:
            for project_id, service in list(self._current.items()):
                if service.learner.base.name == base_model:
                    del self._current[project_id]

    def _wanted(self, project_id: int) -> int:
        project = self.project(project_id)
        return 0 if project is None else project.adapter

    def _load_or_older(self, project_id: int, wanted: int, former: _InService | None) -> _InService:
        """The wanted version or, if it cannot be loaded, the former adapter.

        Without a former one: the newest older undamaged version, else a later one. A wanted version that may become
        available is retried.
        """
        shared = self._store.files.shared is not None
        try:
            fresh = self._load(project_id, wanted)
            with suppress(OSError, SQLAlchemyError):
                self._forget_copies(project_id, wanted)
            return fresh
        except (ModelError, SharedError, OSError, SQLAlchemyError) as error:
            if former is None and not isinstance(error, DamagedError | SharedError):
                raise
            report = isinstance(error, DamagedError)
            found = former or self._any_undamaged(project_id, wanted)
            what = type(error).__name__ if isinstance(error, SQLAlchemyError) else str(error)
            message = f"{what}. Adapter {found.version} serves in its place" if found is not None else what
            if report:
                self._report(project_id, wanted, message)
            else:
                log.error("project %d: %s", project_id, message)
            if found is None:
                raise
            for_good = isinstance(error, DamagedError) and not shared  # else it may become available
            found.instead_of, found.until = wanted, math.inf if for_good else time.monotonic() + _AGAIN
            return found

    def _any_undamaged(self, project_id: int, wanted: int) -> _InService | None:
        kept = [n for n in self._store.files.adapters(project_id).versions() if n != wanted]
        for version in sorted(kept, key=lambda n: (n > wanted, -n)):  # later ones, rolled back, come last
            with suppress(ModelError, SharedError):
                return self._load(project_id, version)
        return None

    def _forget_copies(self, project_id: int, version: int) -> None:
        """Delete local copies of old versions in shared storage: rounds on other hosts do not delete them here."""
        if self._store.files.shared is not None:
            here = self._store.files.adapters(project_id).here()
            known = {n: self._store.of(project_id).rounds.adapter(n) for n in here if n <= version - _COPIES}
            self._store.files.forget_copies(project_id, [n for n, each in known.items() if each and each.digest])

    def _report(self, project_id: int, wanted: int, message: str) -> None:
        """Report a damaged adapter to the worker, once, so that it trains another."""
        if (project_id, wanted) in self._reported:
            return
        log.error("project %d: %s", project_id, message)
        try:
            self._store.projects.set(project_id, error=message)
            self._store.events.add(project_id, DAMAGED)
            self._reported.add((project_id, wanted))
        except SQLAlchemyError as error:  # such as a full disk: serving continues, the next load reports it
            log.error("project %d: the damage could not be reported (%s)", project_id, type(error).__name__)

    def _load(self, project_id: int, version: int) -> _InService:
        adapter = self._store.of(project_id).rounds.adapter(version)
        if adapter is None:
            raise DamagedError(f"adapter {version} of project {project_id} is not known; start a round")
        folder = self._store.adapter_folder(project_id, version)
        # Two learners of one version may overlap while requests of the older one end: each has a unique name.
        name = f"{adapter_version(project_id, version)}-{uuid4().hex}"
        answers = cached_answers(self._store, project_id, read_only=True)
        meter = LlmMeter(self._store, project_id, adapter.base_model, partial(self._llm_budget, project_id))
        try:
            learner = self.models.learner(adapter.base_model, name, folder, answers, meter)
            return _InService(version, learner, learned(adapter))
        except (MemoryError, RuntimeError) as error:
            if not memory.ran_out(error):
                raise
        memory.release()  # not earlier: the error refers to what was loaded
        raise ModelError(
            f"adapter {version} of project {project_id} was not loaded, because memory ran out; give the web server "
            "more memory, or choose a smaller base_model"
        )

    def _current_targets(self, project_id: int, service: _InService) -> Sequence[Target]:
        """The targets with the thresholds and temperatures of the last round, which may have kept the adapter."""
        with suppress(SQLAlchemyError):  # serve with the last known ones while the database is away
            if (adapter := self._store.of(project_id).rounds.adapter(service.version)) is not None:
                service.targets = learned(adapter)
        return service.targets

    def _scores(self, project_id: int, service: _InService) -> Shards:
        """The stored scores of this adapter, opened again after a round has added texts."""
        if service.scores is None or not service.scores.is_current():
            service.scores = self._store.files.scores(project_id, service.version)
        return service.scores

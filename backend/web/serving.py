"""The adapters in service: loaded once, swapped when a round completes, unloaded when their last request ends."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from uuid import uuid4

import numpy as np
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from backend.errors import BackendError, DamagedError, ModelError, UnsupportedConfigError
from backend.labelstudio.predictions import adapter_version
from backend.learners.kinds import output_names
from backend.learners.learner import Arrays
from backend.learners.loading import is_served
from backend.learners.models import AnyLearner, BaseModels
from backend.rounds.answers import kept_answers
from backend.rounds.context import learned
from backend.rounds.reasons import DAMAGED
from backend.store import Store
from backend.store.models import Project
from backend.store.shards import Shards, stacked
from backend.store.shared import SharedError
from backend.store.texts import digest
from backend.targets import Target

log = logging.getLogger(__name__)

_AGAIN = 30.0  # seconds until an unavailable version is tried again
_COPIES = 3  # newest versions in shared storage that keep a local copy


class _InService:
    """A loaded adapter, its stored scores, and the number of requests that use it."""

    def __init__(self, version: int, learner: AnyLearner, targets: Sequence[Target]) -> None:
        self.version = version
        self.instead_of = version  # the wanted version, which may be damaged or unavailable
        self.until = math.inf  # when to try the wanted version again, `time.monotonic()`
        self.learner = learner
        self.targets = targets  # with their tuned thresholds
        self.scores: Shards | None = None
        self.users = 0

    def serves(self, wanted: int) -> bool:
        """Whether it is in service for the version `wanted`."""
        return self.instead_of == wanted and time.monotonic() < self.until


class Serving:
    """Predicts for all projects of this process."""

    def __init__(self, store: Store, models: BaseModels) -> None:
        self._store = store
        self._models = models
        models.let_go = self._let_go
        self._lock = threading.Lock()  # for the two below; never held while an adapter loads
        self._current: dict[int, _InService] = {}
        self._loading: dict[int, threading.Lock] = {}
        self._projects: dict[int, Project] = {}  # as last read
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

    def predict(self, project_id: int, texts: Sequence[str]) -> tuple[int, Sequence[Target], Arrays]:
        """Version in service, its targets, and its outputs, one row per text. Stored scores are reused."""
        digests = [digest(text) for text in texts]
        with self._lease(project_id) as service:
            known = self._scores(project_id, service)
            there, outputs = known.found(output_names(service.targets), digests)
            if not there.all():
                fresh = service.learner.predict([texts[i] for i in np.flatnonzero(~there)])
                order = np.argsort(np.concatenate([np.flatnonzero(there), np.flatnonzero(~there)]))
                outputs = {
                    name: stacked(outputs[name], values)[order] if there.any() else values
                    for name, values in fresh.items()
                }
            return service.version, service.targets, outputs

    def refuse_unknown(self, base_model: str) -> None:
        """Raise `UnsupportedConfigError` for a model behind a server whose address is not configured."""
        if is_served(base_model):
            try:
                self._models.served(base_model)
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
        self._models.used(service.learner.base.name)
        try:
            yield service
        finally:
            with self._lock:
                service.users -= 1
                retired = not service.users and self._current.get(project_id) is not service
            if retired:
                service.learner.unload()

    def _take(self, project_id: int) -> _InService:
        """The adapter in service. One request loads a new version; meanwhile the old one serves all others."""
        wanted = self._wanted(project_id)
        with self._lock:
            service = self._current.get(project_id)
            loading = self._loading.setdefault(project_id, threading.Lock())
            if service is not None and (loading.locked() or service.serves(wanted)):
                service.users += 1
                return service
        with loading:
            wanted = self._wanted(project_id)
            service = self._current.get(project_id)
            if service is not None and service.serves(wanted):  # loaded by another request
                with self._lock:
                    service.users += 1
                return service
            fresh = self._load_or_older(project_id, wanted, service)
            with self._lock:
                fresh.users += 1
                former = self._current.get(project_id)
                self._current[project_id] = fresh
                retired = former is not None and former is not fresh and not former.users
            if former is not None and retired:
                former.learner.unload()
            return fresh

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
        """The wanted version or a replacement: the former adapter if it is unavailable, another version if damaged.

        That is the newest older undamaged one, else a later one. A wanted version that may become available is retried.
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
            found = None if report else former
            kept = [n for n in self._store.files.adapters(project_id).versions() if n != wanted]
            for version in sorted(kept, key=lambda n: (n > wanted, -n)):  # later ones, rolled back, come last
                with suppress(ModelError, SharedError):
                    found = found or self._load(project_id, version)
            what = type(error).__name__ if isinstance(error, SQLAlchemyError) else str(error)
            said = f"{what}. Adapter {found.version} serves in its place" if found is not None else what
            if report:
                self._report(project_id, wanted, said)
            else:
                log.error("project %d: %s", project_id, said)
            if found is None:
                raise
            for_good = isinstance(error, DamagedError) and not shared  # else it may become available
            found.instead_of, found.until = wanted, math.inf if for_good else time.monotonic() + _AGAIN
            return found

    def _forget_copies(self, project_id: int, version: int) -> None:
        """Delete local copies of old versions in shared storage: rounds on other hosts do not delete them here."""
        if self._store.files.shared is not None:
            here = self._store.files.adapters(project_id).here()
            known = {n: self._store.rounds.adapter(project_id, n) for n in here if n <= version - _COPIES}
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
        adapter = self._store.rounds.adapter(project_id, version)
        if adapter is None:
            raise DamagedError(f"adapter {version} of project {project_id} is not known; start a round")
        folder = self._store.adapter_folder(project_id, version)
        # Two learners of one version may overlap while requests of the older one end: each has a unique name.
        name = f"{adapter_version(project_id, version)}-{uuid4().hex}"
        memory = kept_answers(self._store, project_id, read_only=True)
        return _InService(version, self._models.learner(adapter.base_model, name, folder, memory), learned(adapter))

    def _scores(self, project_id: int, service: _InService) -> Shards:
        """The stored scores of this adapter, opened again after a round has added texts."""
        if service.scores is None or not service.scores.is_current():
            service.scores = self._store.files.scores(project_id, service.version)
        return service.scores

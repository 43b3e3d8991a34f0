"""The adapters in service: loaded once, swapped when a round completes, let go when the last request has left them."""

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
from backend.learners import memory
from backend.learners.kinds import output_names
from backend.learners.learner import Arrays
from backend.learners.loading import is_served
from backend.learners.models import AnyLearner, BaseModels
from backend.rounds.adapters import learned
from backend.rounds.answer_cache import cached_answers
from backend.rounds.events import DAMAGED
from backend.store import Store
from backend.store.models import Project
from backend.store.shards import Shards, stacked
from backend.store.shared import SharedError
from backend.store.texts import digest
from backend.targets import Target

log = logging.getLogger(__name__)

_AGAIN = 30.0  # seconds until a version that could not be had is tried again
_COPIES = 3  # of versions that are kept here


class _InService:
    """A loaded adapter, the scores it is known to give, and how many requests are using it."""

    def __init__(self, version: int, learner: AnyLearner, targets: Sequence[Target]) -> None:
        self.version = version
        self.instead_of = version  # the version that it serves for: another one if that is damaged
        self.until = math.inf  # when that one is to be tried again, where it may be had then
        self.learner = learner
        self.targets = targets  # with the thresholds and temperatures of the last round
        self.scores: Shards | None = None
        self.users = 0

    def serves(self, wanted: int) -> bool:
        """Whether it is what serves for that version now."""
        return self.instead_of == wanted and time.monotonic() < self.until


class Serving:
    """Predicts for all projects of this process."""

    def __init__(self, store: Store, models: BaseModels) -> None:
        self._store = store
        self._models = models
        models.let_go = self._let_go
        self._lock = threading.Lock()  # of the two below; held for moments only
        self._current: dict[int, _InService] = {}
        self._loading: dict[int, threading.Lock] = {}
        self._projects: dict[int, Project] = {}  # as last seen
        self._reported: set[tuple[int, int]] = set()  # adapters that the worker was told to replace

    def project(self, project_id: int) -> Project | None:
        """The project; as it was last seen while the database cannot be read, so that serving goes on."""
        try:
            found = self._store.projects.get(project_id)
        except DBAPIError as error:
            if project_id not in self._projects:
                raise
            log.error("the database cannot be read (%s); project %d is served as last seen", error.orig, project_id)
            return self._projects[project_id]
        if found is not None:
            self._projects[project_id] = found
        return found

    def predict(self, project_id: int, texts: Sequence[str]) -> tuple[int, Sequence[Target], Arrays]:
        """The adapter in service, what it learned, and its outputs, one text a row. Scored texts cost nothing."""
        digests = [digest(text) for text in texts]
        with self._lease(project_id) as service:
            self._refresh_targets(project_id, service)
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
        """Raise `UnsupportedConfigError` if it is behind a server and nobody said where that is."""
        if is_served(base_model):
            try:
                self._models.served(base_model)
            except ModelError as error:
                raise UnsupportedConfigError(f"extra_params.base_model: {error}") from None

    def warm_up(self) -> None:
        """Load what is in service, so that the first annotator of the day does not wait for it."""
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
        """What is in service now. One request loads a new version; until it has, all others are served by the old."""
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
            if former is not None and former.serves(wanted):  # loaded while this request waited
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
        """Give up the adapters of a base model that is to leave memory: it does when the last request has left them."""
        with self._lock:
            for project_id, service in list(self._current.items()):
                if service.learner.base.name == base_model:
                    del self._current[project_id]

    def _wanted(self, project_id: int) -> int:
        project = self.project(project_id)
        return 0 if project is None else project.adapter

    def _load_or_older(self, project_id: int, wanted: int, former: _InService | None) -> _InService:
        """The wanted version or, if it is damaged or cannot be fetched, what served before, or the best that is whole.

        That is the newest older one, or a later one. From shared storage the wanted one is tried again in a while.
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
            found = former
            kept = [n for n in self._store.files.adapters(project_id).versions() if n != wanted]
            for version in sorted(kept, key=lambda n: (n > wanted, -n)):  # later ones were given up: better than none
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
            for_good = isinstance(error, DamagedError) and not shared  # else it may be had in a while
            found.instead_of, found.until = wanted, math.inf if for_good else time.monotonic() + _AGAIN
            return found

    def _forget_copies(self, project_id: int, version: int) -> None:
        """Of versions in shared storage, keep the copies of the last few only: no round of this host deletes them."""
        if self._store.files.shared is not None:
            here = self._store.files.adapters(project_id).here()
            known = {n: self._store.rounds.adapter(project_id, n) for n in here if n <= version - _COPIES}
            self._store.files.forget_copies(project_id, [n for n, each in known.items() if each and each.digest])

    def _report(self, project_id: int, wanted: int, message: str) -> None:
        """Tell the worker, once, to train another."""
        if (project_id, wanted) in self._reported:
            return
        log.error("project %d: %s", project_id, message)
        try:
            self._store.projects.set(project_id, error=message)
            self._store.events.add(project_id, DAMAGED)
            self._reported.add((project_id, wanted))
        except SQLAlchemyError as error:  # a full disk, perhaps: serving goes on, and says it another time
            log.error("project %d: that could not be noted (%s)", project_id, type(error).__name__)

    def _load(self, project_id: int, version: int) -> _InService:
        adapter = self._store.rounds.adapter(project_id, version)
        if adapter is None:
            raise DamagedError(f"adapter {version} of project {project_id} is not known; start a round")
        folder = self._store.adapter_folder(project_id, version)
        # Two of one version may overlap while requests leave the older one: each has a name of its own.
        name = f"{adapter_version(project_id, version)}-{uuid4().hex}"
        answers = cached_answers(self._store, project_id, read_only=True)
        try:
            learner = self._models.learner(adapter.base_model, name, folder, answers)
        except (MemoryError, RuntimeError) as error:
            if not memory.ran_out(error):
                raise
            memory.release()
            raise ModelError(
                f"adapter {version} of project {project_id} was not loaded, because memory ran out; give the web "
                "server more memory, or choose a smaller base_model"
            ) from None
        return _InService(version, learner, learned(adapter))

    def _refresh_targets(self, project_id: int, service: _InService) -> None:
        """Take over the thresholds and temperatures that a later round tuned for the same adapter."""
        with suppress(SQLAlchemyError):  # serve with the last known ones while the database is away
            if (adapter := self._store.rounds.adapter(project_id, service.version)) is not None:
                service.targets = learned(adapter)

    def _scores(self, project_id: int, service: _InService) -> Shards:
        """The scores of this adapter; looked at again when a round has added texts to them."""
        if service.scores is None or not service.scores.is_current():
            service.scores = self._store.files.scores(project_id, service.version)
        return service.scores

"""Persistent state of the backend: a database and a folder of files."""

from __future__ import annotations

from copy import copy
from pathlib import Path
from typing import NamedTuple

from backend.errors import BackendError, DamagedError
from backend.store.annotations import Annotations
from backend.store.audit import Audit
from backend.store.events import Events
from backend.store.files.folders import Files
from backend.store.finishes import Finishes
from backend.store.llm_usage import Usage
from backend.store.projects import Projects
from backend.store.rounds import AllRounds, Rounds
from backend.store.second_opinions import SecondOpinions
from backend.store.sql.database import Database, Fence
from backend.store.tasks import Tasks
from backend.store.workers import Workers


class ProjectStore(NamedTuple):
    """The records of one project: tasks, annotations, second opinions, rounds, finishes, calls of language models."""

    tasks: Tasks
    annotations: Annotations
    second_opinions: SecondOpinions
    rounds: Rounds
    finishes: Finishes
    llm_usage: Usage


class Store:
    """The state of the backend: a database at `url` and files in `folder`, a local cache of those at `shared_url`.

    Default: a SQLite database in `folder`, and no shared storage.
    """

    def __init__(self, folder: Path, url: str | None = None, shared_url: str | None = None) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BackendError(
                f"MODEL_DIR {folder} cannot be written to ({error.strerror}); give the backend's user write access, or "
                "set it to another folder"
            ) from None
        self.files = Files(folder, shared_url)
        self._use(Database(url or f"sqlite:///{(folder / 'state.sqlite3').absolute()}"))

    def of(self, project_id: int) -> ProjectStore:
        """The records of one project."""
        database = self.database
        return ProjectStore(
            Tasks(database, project_id),
            Annotations(database, project_id),
            SecondOpinions(database, project_id),
            Rounds(database, project_id),
            Finishes(database, project_id),
            Usage(database, project_id),
        )

    def adapter_folder(self, project_id: int, number: int) -> Path:
        """The folder of an adapter version, its checksums verified. Raises `DamagedError` if it is incomplete."""
        known = self.of(project_id).rounds.adapter(number)
        if known is None:
            raise DamagedError(f"adapter {number} of project {project_id} is not known; start a round")
        try:
            return self.files.adapters(project_id).ready(number, known.digest)
        except DamagedError as error:
            raise DamagedError(f"adapter {number} of project {project_id} is damaged: {error}") from None

    def fenced(self, fence: Fence) -> Store:
        """The same store with a fencing token: writes raise `FencedError` once another worker has a newer one."""
        other = copy(self)
        other._use(self.database.fenced(fence))
        return other

    def _use(self, database: Database) -> None:
        self.database = database
        self.projects = Projects(database)
        self.events = Events(database)
        self.rounds = AllRounds(database)
        self.workers = Workers(database)
        self.audit = Audit(database)


__all__ = ["ProjectStore", "Store"]

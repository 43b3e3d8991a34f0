"""What the backend remembers: a database and a folder of files."""

from __future__ import annotations

from pathlib import Path

from backend.errors import BackendError
from backend.store.annotations import Annotations
from backend.store.database import Database
from backend.store.events import Events
from backend.store.files import Files
from backend.store.projects import Projects
from backend.store.rounds import Rounds
from backend.store.tasks import Tasks
from backend.store.workers import Workers


class Store:
    """The state of the backend, under one folder."""

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BackendError(
                f"MODEL_DIR {folder} cannot be written to ({error.strerror}); give the backend's user write access, or "
                "set it to another folder"
            ) from None
        self.database = Database(f"sqlite:///{(folder / 'state.sqlite3').absolute()}")
        self.files = Files(folder)
        self.projects = Projects(self.database)
        self.tasks = Tasks(self.database)
        self.annotations = Annotations(self.database)
        self.events = Events(self.database)
        self.rounds = Rounds(self.database)
        self.workers = Workers(self.database)


__all__ = ["Store"]

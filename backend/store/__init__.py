"""What the backend remembers: a database and a folder of files."""

from __future__ import annotations

from pathlib import Path

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
        folder.mkdir(parents=True, exist_ok=True)
        self.database = Database(f"sqlite:///{(folder / 'state.sqlite3').absolute()}")
        self.files = Files(folder)
        self.projects = Projects(self.database)
        self.tasks = Tasks(self.database)
        self.events = Events(self.database)
        self.rounds = Rounds(self.database)
        self.workers = Workers(self.database)


__all__ = ["Store"]

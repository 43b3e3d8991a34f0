"""The database as a file in MODEL_DIR: how it is opened, and how the last copy takes a damaged one's place."""

from __future__ import annotations

import fcntl
import logging
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, ExceptionContext, create_engine, event
from sqlalchemy.exc import DisconnectionError

from backend.store import snapshots

log = logging.getLogger(__name__)


class SqliteFile:
    """A SQLite database in WAL mode: readers never wait, and one writer at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.snapshot_path = path.with_name(path.name + ".snapshot")  # takes the file's place if that is damaged
        self.suspect = False  # an answer looked as if the file were damaged; whoever looks into it sets it back
        self.engine = self._make_engine()
        event.listen(self.engine, "handle_error", self._suspect)

    @contextmanager
    def prepared(self) -> Iterator[bool]:
        """The file, whole and in WAL mode, to be migrated by nobody else; whether the snapshot took its place."""
        with Path(f"{self.path}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            recovered = self._recover()
            with closing(self.engine.raw_connection()) as raw:
                # Kept in the file. Two at once would fail as "locked": SQLite does not wait for this.
                raw.cursor().execute("PRAGMA journal_mode=WAL")
            yield recovered

    def _recover(self) -> bool:
        wrong = self.damage()
        if wrong is None or not self.snapshot_path.exists() or snapshots.damage(self.snapshot_path):
            return False
        whole = self.path.with_name(self.path.name + ".recovered")
        snapshots.copy(self.snapshot_path, whole)  # before anything is moved: the disk may be full
        aside = snapshots.set_aside(self.path)
        whole.replace(self.path)
        of = time.strftime("%Y-%m-%d %H:%M", time.localtime(self.snapshot_path.stat().st_mtime))
        log.error(
            "the database was damaged (%s); what there is of it is kept as %s; the snapshot of %s takes its place, and "
            "what happened since is read again from Label Studio", wrong, aside.name, of,
        )  # fmt: skip
        return True

    def damage(self) -> str | None:
        """What is wrong with the file; None if it is whole."""
        if not self.path.exists() or not self.path.stat().st_size:
            return "gone or empty"
        return snapshots.damage(self.path)

    def snapshot(self, *, older_than: float) -> None:
        """Make the copy anew unless there is one of so many seconds."""
        try:
            age = time.time() - self.snapshot_path.stat().st_mtime
        except FileNotFoundError:
            age = older_than
        if not 0 <= age < older_than:
            try:
                snapshots.copy(self.path, self.snapshot_path)
            except sqlite3.DatabaseError:
                self.suspect = True
                raise

    def _suspect(self, context: ExceptionContext) -> None:
        # Locks, full disks and broken constraints are classes of their own.
        if type(context.original_exception) is sqlite3.DatabaseError:
            self.suspect = True

    def _make_engine(self) -> Engine:
        # Parameters are texts of tasks, which no log may hold.
        engine = create_engine(f"sqlite:///{self.path}", connect_args={"timeout": 30}, hide_parameters=True)

        @event.listens_for(engine, "connect")
        def _set_up(connection: Any, record: Any) -> None:
            # sqlite3 begins transactions late and without a write lock, so that a read followed by a write can fail as
            # "locked" without waiting; take over and begin them ourselves.
            connection.isolation_level = None
            cursor = connection.cursor()
            cursor.execute("PRAGMA synchronous=NORMAL")
            cursor.close()
            record.info["file"] = self._inode()

        @event.listens_for(engine, "checkout")
        def _same_file(_connection: Any, record: Any, _proxy: Any) -> None:
            # Another process may have put a snapshot in the place of a damaged file.
            if record.info["file"] != self._inode():
                raise DisconnectionError

        @event.listens_for(engine, "begin")
        def _begin(connection: Any) -> None:
            writes = connection.get_execution_options().get("writes", False)
            connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

        return engine

    def _inode(self) -> int:
        """Which file is at the path; 0 while there is none."""
        try:
            return self.path.stat().st_ino
        except FileNotFoundError:
            return 0

"""The SQLite database in MODEL_DIR: connections, snapshots, and recovery from the last snapshot."""

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

from backend.store.sql import snapshots

log = logging.getLogger(__name__)


class SqliteFile:
    """A SQLite database in WAL mode: readers never block, writers are serialized."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.snapshot_path = path.with_name(path.name + ".snapshot")  # replaces the file if that is damaged
        self.suspect = False  # a query failed as on a damaged file; reset by the caller that checks it
        self.engine = self._make_engine()
        event.listen(self.engine, "handle_error", self._suspect)

    @contextmanager
    def prepared(self) -> Iterator[bool]:
        """Hold the migration lock, the file intact and in WAL mode. Yields True if a snapshot replaced it."""
        with Path(f"{self.path}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            recovered = self._recover()
            with closing(self.engine.raw_connection()) as raw:
                # Persistent. Needs the lock: SQLite does not wait here, so a second process would fail as "locked".
                raw.cursor().execute("PRAGMA journal_mode=WAL")
            yield recovered

    def _recover(self) -> bool:
        wrong = self.damage()
        if wrong is None or not self.snapshot_path.exists() or snapshots.damage(self.snapshot_path):
            return False
        whole = self.path.with_name(self.path.name + ".recovered")
        snapshots.copy(self.snapshot_path, whole)  # before any rename: the disk may be full
        aside = snapshots.set_aside(self.path)
        whole.replace(self.path)
        of = time.strftime("%Y-%m-%d %H:%M", time.localtime(self.snapshot_path.stat().st_mtime))
        log.error(
            "the database was damaged (%s); it is kept as %s and replaced by the snapshot of %s; later changes are "
            "read again from Label Studio", wrong, aside.name, of,
        )  # fmt: skip
        return True

    def damage(self) -> str | None:
        """What is wrong with the file; None if it is intact."""
        if not self.path.exists() or not self.path.stat().st_size:
            return "gone or empty"
        return snapshots.damage(self.path)

    def snapshot(self, *, older_than: float) -> None:
        """Take a snapshot unless the last one is less than `older_than` seconds old."""
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
        # Locks, full disks and violated constraints raise subclasses.
        if type(context.original_exception) is sqlite3.DatabaseError:
            self.suspect = True

    def _make_engine(self) -> Engine:
        # Query parameters contain texts of tasks, which must not be logged.
        engine = create_engine(f"sqlite:///{self.path}", connect_args={"timeout": 30}, hide_parameters=True)

        @event.listens_for(engine, "connect")
        def _set_up(connection: Any, record: Any) -> None:
            # sqlite3 begins transactions late and without a write lock: a write after a read can fail as "locked"
            # without waiting. Disable that; `_begin` begins them.
            connection.isolation_level = None
            cursor = connection.cursor()
            # A power cut loses no commit: Label Studio already has what the state would have forgotten. 1 ms a commit.
            cursor.execute("PRAGMA synchronous=FULL")
            cursor.close()
            record.info["file"] = self._inode()

        @event.listens_for(engine, "checkout")
        def _same_file(_connection: Any, record: Any, _proxy: Any) -> None:
            # Another process may have replaced a damaged file by a snapshot.
            if record.info["file"] != self._inode():
                raise DisconnectionError

        @event.listens_for(engine, "begin")
        def _begin(connection: Any) -> None:
            writes = connection.get_execution_options().get("writes", False)
            connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

        return engine

    def _inode(self) -> int:
        """Inode of the file; 0 if it does not exist."""
        try:
            return self.path.stat().st_ino
        except FileNotFoundError:
            return 0

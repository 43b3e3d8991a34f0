"""Connect to the state database, bring its tables up to date, and put a damaged file's last copy in its place."""

from __future__ import annotations

import fcntl
import logging
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.util.exc import CommandError
from sqlalchemy import Engine, ExceptionContext, create_engine, event, update
from sqlalchemy.exc import DisconnectionError, SQLAlchemyError
from sqlalchemy.orm import Session

from backend.errors import BackendError
from backend.store import snapshots
from backend.store.models import Project

log = logging.getLogger(__name__)

CHUNK = 500  # rows a statement: SQLite allows 32,766 variables
_MIGRATIONS = Path(__file__).parent / "migrations"


class Database:
    """Sessions on one database. SQLite in WAL mode: readers never wait, and one writer at a time."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.suspect = False  # an answer looked as if the file were damaged; whoever looks into it sets it back
        self.engine = _engine(url)
        event.listen(self.engine, "handle_error", self._suspect)
        self._writer = self.engine.execution_options(writes=True)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A transaction that only reads; what it loads stays usable afterwards."""
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that writes: committed at the end of the block, rolled back if it raises."""
        with Session(self._writer, expire_on_commit=False) as session, session.begin():
            yield session

    def migrate(self, *, restored: bool = False) -> None:
        """Create or upgrade the tables. Web server and worker may do so at the same time.

        A damaged file is set aside and the last snapshot put in its place: what happened since is read again from Label
        Studio, as it is if the caller says that the file was restored from a backup. Raises `BackendError` if the file
        cannot be opened, is damaged without a snapshot, or was written by a newer release.
        """
        try:
            self._migrate(restored)
        except (SQLAlchemyError, sqlite3.Error, OSError, CommandError) as error:
            reason = str(error).splitlines()[0]
            raise BackendError(
                f"the database {self.engine.url.database} cannot be opened ({type(error).__name__}: {reason}); check "
                "who owns it and which release wrote it, restore MODEL_DIR from a backup, or move it away to start anew"
            ) from None

    def _migrate(self, restored: bool) -> None:
        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS))
        with Path(f"{self.engine.url.database}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            restored = self._recover() or restored
            with closing(self.engine.raw_connection()) as raw:
                # Kept in the file. Two at once would fail as "locked": SQLite does not wait for this.
                raw.cursor().execute("PRAGMA journal_mode=WAL")
            with self._writer.begin() as connection:
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
                if restored:  # numbers used since are not known here, nor what was labeled
                    connection.execute(update(Project).values(split=None, reread=True, task_mark=0))

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

    def _suspect(self, context: ExceptionContext) -> None:
        # Locks, full disks and broken constraints are classes of their own.
        if type(context.original_exception) is sqlite3.DatabaseError:
            self.suspect = True

    @property
    def path(self) -> Path:
        """The file."""
        return Path(str(self.engine.url.database))

    @property
    def snapshot_path(self) -> Path:
        """The copy that takes the file's place if that is damaged."""
        return self.path.with_name(self.path.name + ".snapshot")

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

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()


def _engine(url: str) -> Engine:
    # Parameters are texts of tasks, which no log may hold.
    engine = create_engine(url, connect_args={"timeout": 30}, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def _set_up(connection: Any, record: Any) -> None:
        # sqlite3 begins transactions late and without a write lock, so that a read followed by a write can fail as
        # "locked" without waiting; take over and begin them ourselves.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.close()
        record.info["file"] = _file(engine)

    @event.listens_for(engine, "checkout")
    def _same_file(_connection: Any, record: Any, _proxy: Any) -> None:
        # Another process may have put a snapshot in the place of a damaged file.
        if record.info["file"] != _file(engine):
            raise DisconnectionError

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _file(engine: Engine) -> int:
    """Which file is at the database's path; 0 while there is none."""
    try:
        return Path(str(engine.url.database)).stat().st_ino
    except FileNotFoundError:
        return 0

"""Connect to the state database and bring its tables up to date."""

from __future__ import annotations

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.util.exc import CommandError
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from backend.errors import BackendError

_MIGRATIONS = Path(__file__).parent / "migrations"


class Database:
    """Sessions on one database. SQLite in WAL mode: readers never wait, and one writer at a time."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = _engine(url)
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

    def migrate(self) -> None:
        """Create or upgrade the tables. Web server and worker may do so at the same time.

        Raises `BackendError` if the file cannot be opened, is no database, or was written by a newer release.
        """
        try:
            self._migrate()
        except (SQLAlchemyError, sqlite3.Error, OSError, CommandError) as error:
            reason = str(error).splitlines()[0]
            raise BackendError(
                f"the database {self.engine.url.database} cannot be opened ({type(error).__name__}: {reason}); check "
                "who owns it and which release wrote it, restore MODEL_DIR from a backup, or move it away to start anew"
            ) from None

    def _migrate(self) -> None:
        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS))
        with Path(f"{self.engine.url.database}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with closing(self.engine.raw_connection()) as raw:
                # Kept in the file. Two at once would fail as "locked": SQLite does not wait for this.
                raw.cursor().execute("PRAGMA journal_mode=WAL")
            with self._writer.begin() as connection:
                config.attributes["connection"] = connection
                command.upgrade(config, "head")

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()


def _engine(url: str) -> Engine:
    # Parameters are texts of tasks, which no log may hold.
    engine = create_engine(url, connect_args={"timeout": 30}, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def _set_up(connection: Any, _record: Any) -> None:
        # sqlite3 begins transactions late and without a write lock, so that a read followed by a write can fail as
        # "locked" without waiting; take over and begin them ourselves.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine

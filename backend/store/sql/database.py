"""Database sessions and schema migrations: SQLite in MODEL_DIR, or PostgreSQL for several hosts."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import NamedTuple

from alembic import command
from alembic.config import Config
from alembic.util.exc import CommandError
from sqlalchemy import Connection, Engine, Table, func, select, update
from sqlalchemy.dialects import postgresql as postgresql_dialect
from sqlalchemy.dialects import sqlite as sqlite_dialect
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.orm import Session, class_mapper

from backend.errors import BackendError, FencedError, RefusedStartError
from backend.store.sql import postgresql
from backend.store.sql.models import Base, Project
from backend.store.sql.sqlite import SqliteFile

CHUNK = 500  # rows per statement: SQLite allows 32,766 variables, PostgreSQL 65,535
_MIGRATIONS = Path(__file__).parent / "migrations"


class Fence(NamedTuple):
    """A fencing token: the right to write for a project until another worker takes the project over."""

    project_id: int
    token: int


class Database:
    """Sessions on one database. Reads use a snapshot and never block; writes to one project are serialized.

    SQLite serializes all writes; PostgreSQL runs writes to different projects concurrently.
    """

    def __init__(self, url: str) -> None:
        """Raises `BackendError` if `url` is neither a SQLite nor a PostgreSQL URL."""
        try:
            parsed = make_url(url)
        except (ArgumentError, ValueError):  # its message may contain part of the password
            raise BackendError(_EXPECTED) from None
        if "@" in (parsed.host or ""):  # from an unquoted @ in the password: the host contains part of it
            raise BackendError(_EXPECTED)
        self.url = parsed
        self.file: SqliteFile | None = None  # None for PostgreSQL
        self.engine: Engine
        if parsed.get_backend_name() == "sqlite":
            self.file = SqliteFile(Path(str(parsed.database)))
            self.engine = self.file.engine
        elif parsed.get_backend_name() in ("postgresql", "postgres"):
            self.engine = postgresql.engine(parsed)
        else:
            raise BackendError(_EXPECTED)
        self._writer = self.engine.execution_options(writes=True)
        self._fence: Fence | None = None

    @property
    def address(self) -> str:
        """The database URL, password included, for libraries that create their own tables there. Never log it."""
        return postgresql.address(self.url).render_as_string(hide_password=False)

    def fenced(self, fence: Fence) -> Database:
        """The same database with a fencing token: writes raise `FencedError` once another worker has a newer one."""
        other = copy(self)
        other._fence = fence
        return other

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A read-only transaction; loaded rows stay usable after it ends."""
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def write(self, project_id: int | None = None) -> Iterator[Session]:
        """A write transaction: committed at the end of the block, rolled back on an exception.

        project_id: the project to lock until the transaction ends. None: the rows belong to no project, or to all.
        """
        with Session(self._writer, expire_on_commit=False) as session, session.begin():
            if project_id is not None and self.file is None:
                postgresql.lock(session.connection(), postgresql.PROJECT, project_id)
            self._require(session)
            yield session

    def require(self) -> None:
        """Raise `FencedError` if this database has a fencing token and another worker has taken the project over."""
        with self.read() as session:
            self._require(session)

    def _require(self, session: Session) -> None:
        if self._fence is None:
            return
        project_id, token = self._fence
        now = session.scalar(select(Project.fence).where(Project.id == project_id))
        if now is not None and now != token:
            raise FencedError(
                f"project {project_id}: another worker has taken this round over; this one no longer writes"
            )

    def insert(self, model: type[Base]) -> sqlite_dialect.Insert | postgresql_dialect.Insert:
        """An INSERT statement of this database's dialect, which supports ON CONFLICT."""
        table = class_mapper(model).local_table
        assert isinstance(table, Table)
        return sqlite_dialect.insert(table) if self.file else postgresql_dialect.insert(table)

    def now(self, session: Session) -> float:
        """Unix time in seconds, by a clock that all processes share: the host's for SQLite, else the server's."""
        if self.file is not None:
            return time.time()
        return float(session.execute(select(func.extract("epoch", func.clock_timestamp()))).scalar_one())

    def migrate(self, *, restored: bool = False) -> None:
        """Create or upgrade the tables. Safe to run in several processes at once.

        Replaces a damaged SQLite file by its last snapshot and keeps the damaged one under another name. After that, or
        with `restored` (from a backup), later changes are read again from Label Studio. Raises `BackendError` if the
        database cannot be opened, or is damaged and has no snapshot; `RefusedStartError` if a newer release wrote it.
        """
        try:
            if self.file is not None:
                with self.file.prepared() as recovered, self._writer.begin() as connection:
                    self._upgrade(connection, restored=restored or recovered)
            else:
                with self._writer.begin() as connection:
                    postgresql.lock(connection, postgresql.TABLES, 0)
                    self._upgrade(connection, restored=restored)
        except CommandError:  # it does not know the revision of the tables
            raise RefusedStartError(
                f"the database {self._where} was written by a newer release; install that release, or restore a backup "
                "of this one"
            ) from None
        except (SQLAlchemyError, sqlite3.Error, OSError) as error:
            reason = str(getattr(error, "orig", None) or error).splitlines()[0]
            advice = _ADVICE_FILE if self.file else "check DATABASE_URL, and whether the server runs"
            raise BackendError(
                f"the database {self._where} cannot be opened ({type(error).__name__}: {reason}); {advice}"
            ) from None

    @property
    def _where(self) -> str:
        return str(self.url.database) if self.file else f"{self.url.database} on {self.url.host or 'this host'}"

    def _upgrade(self, connection: Connection, *, restored: bool) -> None:
        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        if restored:  # versions and labels newer than the copy are unknown
            connection.execute(update(Project).values(split=None, reread=True, task_mark=0))

    def damage(self) -> str | None:
        """What is wrong with the SQLite file; None if it is intact, or for PostgreSQL."""
        return None if self.file is None else self.file.damage()

    def close(self) -> None:
        """Close all pooled connections."""
        self.engine.dispose()


_ADVICE_FILE = (
    "check who owns it and whether the disk can be written to, restore MODEL_DIR from a backup, or move it away to "
    "start with an empty one"
)
_EXPECTED = (
    "DATABASE_URL is not a database URL; expected postgresql://user:password@host:5432/name, with @ : / in the "
    "password written as %40 %3A %2F; leave it out to use SQLite in MODEL_DIR"
)

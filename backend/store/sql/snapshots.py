"""Consistent snapshots of a SQLite database in use; integrity check and quarantine of a damaged one."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from uuid import uuid4

from backend.store.files import arrays


def copy(database: Path, target: Path) -> None:
    """Write a consistent snapshot of a database to `target`, by atomic rename; concurrent writers do not matter.

    Raises `sqlite3.DatabaseError` if the copy is damaged, as it is if the database is; `target` is then unchanged.
    """
    for leftover in target.parent.glob(f".{target.name}.*"):  # SQLite's -journal and -wal files of a copy included
        if arrays.was_left(leftover):
            leftover.unlink(missing_ok=True)
    temporary = target.with_name(f".{target.name}.{uuid4().hex}")  # unique: several threads may take a snapshot at once
    try:
        with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(temporary)) as snapshot:
            source.backup(snapshot)
        if wrong := damage(temporary):
            raise sqlite3.DatabaseError(f"{database.name} is damaged: {wrong}")
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def damage(database: Path) -> str | None:
    """The first error of SQLite's integrity check; None if the file is intact or does not exist."""
    if not database.exists():
        return None
    try:
        with closing(sqlite3.connect(database, timeout=30)) as connection:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):  # locked or unreadable is not damage
            return None
        return str(error)
    return None if found == "ok" else str(found).splitlines()[0]


def is_empty(database: Path) -> bool:
    """Whether there is no file, or none with tables."""
    if not database.exists():
        return True
    try:
        with closing(sqlite3.connect(database, timeout=30)) as connection:
            return connection.execute("SELECT 1 FROM sqlite_master").fetchone() is None
    except sqlite3.DatabaseError:
        return False


def set_aside(database: Path) -> Path:
    """Rename a damaged database to keep it for inspection, with its WAL, which must not be applied to a new file.

    Returns the new path.
    """
    aside = database.with_name(f"{database.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}")
    for end in ("-wal", "-shm", ""):
        path = database.with_name(database.name + end)
        if path.exists():
            path.replace(aside.with_name(aside.name + end))
    return aside

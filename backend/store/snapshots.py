"""Consistent copies of a SQLite database that is in use, and what to do with one that is damaged."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

log = logging.getLogger(__name__)


def copy(database: Path, target: Path) -> None:
    """Copy a database as it is at one moment, whoever writes to it meanwhile; `target` is there whole or not at all.

    Raises `sqlite3.DatabaseError` if the copy is damaged, as one of a damaged database is: `target` stays as it was.
    """
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(beside)) as made:
            source.backup(made)
        if wrong := damage(beside):
            raise sqlite3.DatabaseError(f"{database.name} is damaged: {wrong}")
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)


def damage(database: Path) -> str | None:
    """What is wrong with a database file; None if it is whole, or not there yet."""
    if not database.exists():
        return None
    try:
        with closing(sqlite3.connect(database, timeout=30)) as connection:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):  # locked, not readable: another trouble
            return None
        return str(error)
    return None if found == "ok" else str(found).splitlines()[0]


def set_aside(database: Path) -> Path:
    """Move a damaged database out of the way, to be looked at later, with its log, which would spoil another's."""
    aside = database.with_name(f"{database.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}")
    for end in ("-wal", "-shm", ""):
        path = database.with_name(database.name + end)
        if path.exists():
            path.replace(aside.with_name(aside.name + end))
    return aside

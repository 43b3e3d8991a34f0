"""Modes of files: only the backend's user reads texts, labels and secrets."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_OTHERS = 0o077  # every permission of the group and of all other users


def new_files_are_private() -> None:
    """From now on this process and its children create files with mode 0600 and folders with mode 0700."""
    os.umask(_OTHERS)


def restrict(paths: Iterable[Path]) -> None:
    """Take all permissions from other users, which earlier releases gave. Files of other owners are left alone."""
    for path in paths:
        with suppress(OSError):  # SQLite deletes files meanwhile; an administrator's volume; a read-only disk
            if (mode := path.stat().st_mode) & _OTHERS:
                path.chmod(mode & 0o7700)

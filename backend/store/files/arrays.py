"""Files of named arrays, written by atomic rename."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

log = logging.getLogger(__name__)

Array = NDArray[Any]
_LEFT = 3600.0  # seconds without a write after which a temporary file is a leftover


def write(path: Path, arrays: Mapping[str, Array], *, before: Callable[[Path], None] = lambda _path: None) -> None:
    """Write named arrays to `path` by atomic rename.

    before: called with the complete temporary file, right before it is renamed to `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        save_file(dict(arrays), temporary)
        sync(temporary)
        before(temporary)
        temporary.replace(path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def read(path: Path) -> dict[str, Array] | None:
    """The arrays of a file; None if it does not exist or is damaged, since all of them can be recomputed."""
    try:
        with safe_open(path, framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except FileNotFoundError:
        return None
    except SafetensorError as error:
        say_damaged(path, error)
        return None


def say_damaged(path: Path, error: Exception) -> None:
    """Log that a file is damaged."""
    log.warning("%s is damaged (%s) and will be recomputed", path, error)


def was_left(path: Path) -> bool:
    """Whether a temporary file or folder is so old that its process must have been killed."""
    try:
        return time.time() - path.stat().st_mtime > _LEFT
    except FileNotFoundError:
        return False


def sync(path: Path) -> None:
    """Flush a file, or every file in a folder, to disk."""
    for each in path.rglob("*") if path.is_dir() else (path,):
        if each.is_file():
            with each.open("rb") as file:
                os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Flush a folder's entries to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""Files of named arrays: written beside, then moved into place, so that none is ever half there."""

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
_LEFT = 3600.0  # seconds


def write(path: Path, arrays: Mapping[str, Array], *, before: Callable[[Path], None] = lambda _path: None) -> None:
    """Write named arrays to `path` in one step.

    before: called with the file that is written, right before it is moved to `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        save_file(dict(arrays), beside)
        sync(beside)
        before(beside)
        beside.replace(path)
        sync_folder(path.parent)
    finally:
        beside.unlink(missing_ok=True)


def read(path: Path) -> dict[str, Array] | None:
    """The arrays of a file; None if there is no such file, or a damaged one. All of them can be computed again."""
    try:
        with safe_open(path, framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except FileNotFoundError:
        return None
    except SafetensorError as error:
        say_damaged(path, error)
        return None


def say_damaged(path: Path, error: Exception) -> None:
    """Tell the log."""
    log.warning("%s is damaged (%s) and will be computed again", path, error)


def was_left(path: Path) -> bool:
    """Whether a file that has no name yet is so old that it will never get one."""
    try:
        return time.time() - path.stat().st_mtime > _LEFT
    except FileNotFoundError:
        return False


def sync(path: Path) -> None:
    """Wait until a file, or every one in a folder, is on the disk."""
    for each in path.rglob("*") if path.is_dir() else (path,):
        if each.is_file():
            with each.open("rb") as file:
                os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

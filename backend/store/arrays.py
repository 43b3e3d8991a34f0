"""Files of named arrays: written beside, then moved into place, so that none is ever half there."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

log = logging.getLogger(__name__)

Array = NDArray[Any]


def write(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write named arrays to `path` in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        save_file(dict(arrays), beside)
        sync(beside)
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

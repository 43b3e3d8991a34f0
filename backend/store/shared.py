"""Storage that several hosts share, such as a bucket: any address that fsspec knows. MODEL_DIR keeps copies of it.

Nothing there ever changes: what is new has a new name, and is pointed to when it is whole. So whoever reads finds the
old or the new, and a copy that is here is right for as long as its name is there.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

from fsspec.core import url_to_fs  # type: ignore[import-untyped]

from backend.errors import BackendError
from backend.store import arrays

log = logging.getLogger(__name__)

_EVERY = 10.0  # seconds
_PACKAGES = {"s3": "s3", "gs": "gcs", "gcs": "gcs"}  # extras of ours by protocol


class SharedError(BackendError):
    """Shared storage is away, refuses, or does not hold what was written."""


class Shared:
    """The address as a folder, the copies of whose files lie under `root` by the same names."""

    def __init__(self, url: str, root: Path) -> None:
        self._url = url
        self._root = root
        self._looked: dict[Path, float] = {}

    def names(self, folder: Path) -> set[str]:
        """The names of the files there in a folder, as seen from it."""
        with self._told("list"):
            fs, key = self._fs, self._key(folder)
            fs.invalidate_cache()
            return {path[len(key) + 1 :] for path in fs.find(key) if not path.rpartition("/")[2].startswith(".")}

    def push(self, path: Path, to: Path | None = None) -> None:
        """Write a file there, and compare what arrived.

        to: where its copy would lie, if not at `path`.
        """
        with self._told("write"):
            key = self._key(to or path)
            self._fs.makedirs(key.rpartition("/")[0], exist_ok=True)
            self._fs.put_file(str(path), key)
            with path.open("rb") as ours, self._fs.open(key, "rb") as theirs:
                if file_digest(ours, "sha256").digest() != _digest(theirs):
                    raise OSError(f"{to or path} arrived changed")

    def pull(self, path: Path, to: Path | None = None) -> None:
        """Copy a file here, in one step.

        to: where to, if not to `path`.
        """
        target = to or path
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = target.with_name(f".{target.name}.{uuid4().hex}")
        try:
            with self._told("read"):
                self._fs.get_file(self._key(path), str(beside))
            arrays.sync(beside)
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)

    def pull_folder(self, folder: Path) -> None:
        """Have here the files that are there, and no others."""
        there, here = self.names(folder), {path.name for path in folder.glob("[!.]*")}
        for name in sorted(there - here):
            try:
                self.pull(folder / name)
            except SharedError:
                if name in self.names(folder):  # else it was replaced meanwhile
                    raise
        for name in here - there:
            (folder / name).unlink(missing_ok=True)

    def refresh(self, folder: Path) -> None:
        """As `pull_folder`, at most every few seconds; while it is away, what is here is all there is."""
        if time.monotonic() - self._looked.get(folder, -_EVERY) >= _EVERY:
            self._looked[folder] = time.monotonic()
            try:
                self.pull_folder(folder)
            except SharedError as error:
                log.warning("%s; until then the copies here are used", error)

    def drop(self, path: Path) -> None:
        """Delete a file or folder there, if it is there."""
        with self._told("delete"):
            key = self._key(path)
            self._fs.invalidate_cache()
            if self._fs.exists(key):
                self._fs.rm(key, recursive=True)

    @cached_property
    def _found(self) -> tuple[Any, str]:
        protocol = self._url.partition("://")[0]
        try:
            fs, base = url_to_fs(self._url)
        except ImportError:
            extra = _PACKAGES.get(protocol, protocol)
            raise SharedError(
                f"SHARED_URL begins with {protocol}://, for which a package is missing; "
                f"pip install 'label-studio-active-learning[{extra}]'"
            ) from None
        except ValueError as error:
            raise SharedError(
                f"SHARED_URL cannot be used ({error}); expected an address such as s3://bucket/folder"
            ) from None
        return fs, str(base).rstrip("/")

    @property
    def _fs(self) -> Any:
        return self._found[0]

    def _key(self, path: Path) -> str:
        return f"{self._found[1]}/{path.relative_to(self._root).as_posix()}"

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        try:
            yield
        except BackendError:
            raise
        except Exception as error:  # each kind of storage has exceptions of its own
            raise SharedError(
                f"cannot {what} in shared storage {without_user(self._url)} ({type(error).__name__}: {error}); check "
                "SHARED_URL, its credentials, and that it can be reached from here"
            ) from error


def without_user(url: str) -> str:
    """The address without what stands before an @."""
    return re.sub(r"//[^/@]*@", "//", url)


def _digest(file: Any) -> bytes:
    found = sha256()
    while part := file.read(2**20):
        found.update(part)
    return found.digest()

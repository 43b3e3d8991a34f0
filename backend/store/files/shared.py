"""Storage shared by several hosts, such as a bucket: any URL that fsspec supports. MODEL_DIR is a local cache of it.

Files there are immutable: new content gets a new name and is referred to once complete. So readers see the old or the
new file, and a cached copy is valid as long as its name exists in the storage.
"""

from __future__ import annotations

import logging
import os
import re
import threading
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
from backend.store.files import arrays

log = logging.getLogger(__name__)

COPIED = "s"  # suffix of the stem of files that are in shared storage, too
_EVERY = 10.0  # seconds between refreshes
# The default timeouts would block requests for minutes if the storage hangs.
_OPTIONS: dict[str, dict[str, Any]] = {
    "s3": {"config_kwargs": {"connect_timeout": 5, "read_timeout": 20, "retries": {"max_attempts": 2}}}
}
_PACKAGES = {"s3": "s3", "gs": "gcs", "gcs": "gcs"}  # our extras by protocol


class SharedError(BackendError):
    """Shared storage is unreachable, refuses an operation, or does not contain what was written."""


class Shared:
    """The storage at `url`; `root` is its local cache, with the same relative paths."""

    def __init__(self, url: str, root: Path) -> None:
        self._url = url
        self._root = root
        self.tolerant = False  # use cached copies while it is unreachable, as the web server does
        self._refreshing = threading.Lock()
        self._listed: dict[Path, tuple[float, set[str]]] = {}
        self._refreshed: dict[Path, float] = {}  # monotonic time of the last refresh, in seconds

    def names(self, folder: Path) -> set[str]:
        """Relative paths of the files of a folder in the storage."""
        with self._errors("list"):
            fs, key = self._fs, self._key(folder)
            fs.invalidate_cache()
            return {path[len(key) + 1 :] for path in fs.find(key) if not path.rpartition("/")[2].startswith(".")}

    def lately(self, folder: Path) -> set[str]:
        """Like `names`; if `tolerant`, cached for some seconds."""
        known = self._listed.get(folder)
        if not self.tolerant or known is None or time.monotonic() - known[0] > _EVERY:
            known = self._listed[folder] = (time.monotonic(), self.names(folder))
        return known[1]

    def push(self, path: Path, to: Path | None = None) -> None:
        """Upload a file and verify its checksum.

        to: its path in the cache. Default: `path`.
        """
        with self._errors("write"):
            key = self._key(to or path)
            folder, _, name = key.rpartition("/")
            self._fs.makedirs(folder, exist_ok=True)
            # Object stores list complete files only; a folder also shows partly written ones.
            temporary = f"{folder}/.{name}.{uuid4().hex}" if self._is_folder else key
            try:
                self._fs.put_file(str(path), temporary)
                with path.open("rb") as ours, self._fs.open(temporary, "rb") as theirs:
                    if file_digest(ours, "sha256").digest() != _digest(theirs):
                        raise OSError(f"{to or path} differs from the original after the upload")
                if self._is_folder:
                    os.replace(temporary, key)
            finally:
                if self._is_folder:
                    Path(temporary).unlink(missing_ok=True)

    def pull(self, path: Path, to: Path | None = None) -> None:
        """Download a file by atomic rename.

        to: the local path. Default: `path`.
        """
        target = to or path
        temporary = target.with_name(f".{target.name}.{uuid4().hex}")
        with self._errors("read"):
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                self._fs.get_file(self._key(path), str(temporary))
                arrays.sync(temporary)
                temporary.replace(target)
            finally:
                temporary.unlink(missing_ok=True)

    def pull_folder(self, folder: Path) -> None:
        """Download a folder's missing files and delete outdated copies; local files that were never shared stay."""
        here = {path.name for path in folder.glob("[!.]*")}  # before `names`: a file written in between is in both
        there = self.names(folder)
        for name in sorted(there - here):
            try:
                self.pull(folder / name)
            except SharedError:
                if name in self.names(folder):  # otherwise it was replaced meanwhile
                    raise
        for name in here - there if there else ():  # an empty listing more likely means a faulty storage
            if name.partition(".")[0].endswith(COPIED):
                (folder / name).unlink(missing_ok=True)

    def refresh(self, folder: Path) -> None:
        """Like `pull_folder`. If `tolerant`: every few seconds, in one thread, using cached copies on errors."""
        if not self.tolerant:
            self.pull_folder(folder)
            return
        age = time.monotonic() - self._refreshed.get(folder, -_EVERY)
        if age < _EVERY or not self._refreshing.acquire(blocking=False):
            return
        try:
            self.pull_folder(folder)
        except SharedError as error:
            log.warning("%s; cached copies are used meanwhile", error)
        finally:
            self._refreshed[folder] = time.monotonic()
            self._refreshing.release()

    def drop(self, path: Path) -> None:
        """Delete a file or folder from the storage, if it exists."""
        with self._errors("delete"):
            key = self._key(path)
            self._fs.invalidate_cache()
            if self._fs.exists(key):
                self._fs.rm(key, recursive=True)

    @cached_property
    def _found(self) -> tuple[Any, str]:
        protocol = self._url.partition("://")[0]
        try:
            fs, base = url_to_fs(self._url, **_OPTIONS.get(protocol, {}))
        except ImportError:
            extra = _PACKAGES.get(protocol, protocol)
            raise SharedError(
                f"SHARED_URL begins with {protocol}://, for which a package is missing; "
                f"pip install 'label-studio-active-learning[{extra}]'"
            ) from None
        except ValueError as error:
            raise SharedError(
                f"SHARED_URL cannot be used ({error}); expected a URL such as s3://bucket/folder"
            ) from None
        return fs, str(base).rstrip("/")

    @property
    def _is_folder(self) -> bool:
        return "file" in self._fs.protocol

    @property
    def _fs(self) -> Any:
        fs, base = self._found
        if "file" in fs.protocol and not Path(base).is_dir():  # not mounted: do not fill the local disk
            raise SharedError(f"the folder {base} of SHARED_URL does not exist; mount or create it")
        return fs

    def _key(self, path: Path) -> str:
        return f"{self._found[1]}/{path.relative_to(self._root).as_posix()}"

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        """Raise every error of the storage as `SharedError`."""
        try:
            yield
        except BackendError:
            raise
        except Exception as error:  # each kind of storage has its own exceptions
            raise SharedError(
                f"cannot {what} in shared storage {without_user(self._url)} ({type(error).__name__}: {error}); check "
                "SHARED_URL, its credentials, and that it can be reached from this host"
            ) from error


def without_user(url: str) -> str:
    """The URL without its user information (the part before @)."""
    return re.sub(r"//[^/@]*@", "//", url)


def _digest(file: Any) -> bytes:
    found = sha256()
    while part := file.read(2**20):
        found.update(part)
    return found.digest()

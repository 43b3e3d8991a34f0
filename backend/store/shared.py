"""Storage that several hosts share, such as a bucket: any address that fsspec knows. MODEL_DIR keeps copies of it.

Nothing there ever changes: what is new has a new name, and is pointed to when it is whole. So whoever reads finds the
old or the new, and a copy that is here is right for as long as its name is there.
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
from backend.store import arrays

log = logging.getLogger(__name__)

COPIED = "s"  # at the end of a file's stem: it is in shared storage, too
_EVERY = 10.0  # seconds
# A storage that hangs is not to hold requests for minutes, as it would by default.
_OPTIONS: dict[str, dict[str, Any]] = {
    "s3": {"config_kwargs": {"connect_timeout": 5, "read_timeout": 20, "retries": {"max_attempts": 2}}}
}
_PACKAGES = {"s3": "s3", "gs": "gcs", "gcs": "gcs"}  # extras of ours by protocol


class SharedError(BackendError):
    """Shared storage is away, refuses, or does not hold what was written."""


class Shared:
    """The address as a folder, the copies of whose files lie under `root` by the same names."""

    def __init__(self, url: str, root: Path) -> None:
        self._url = url
        self._root = root
        self.tolerant = False  # whether to go on with the copies here while it is away, as whoever serves does
        self._looking = threading.Lock()
        self._listed: dict[Path, tuple[float, set[str]]] = {}
        self._looked: dict[Path, float] = {}  # when, in seconds

    def names(self, folder: Path) -> set[str]:
        """The names of the files there in a folder, as seen from it."""
        with self._told("list"):
            fs, key = self._fs, self._key(folder)
            fs.invalidate_cache()
            return {path[len(key) + 1 :] for path in fs.find(key) if not path.rpartition("/")[2].startswith(".")}

    def lately(self, folder: Path) -> set[str]:
        """As `names`; while it is tolerant, as they were some seconds ago."""
        known = self._listed.get(folder)
        if not self.tolerant or known is None or time.monotonic() - known[0] > _EVERY:
            known = self._listed[folder] = (time.monotonic(), self.names(folder))
        return known[1]

    def push(self, path: Path, to: Path | None = None) -> None:
        """Write a file there, and compare what arrived.

        to: where its copy would lie, if not at `path`.
        """
        with self._told("write"):
            key = self._key(to or path)
            folder, _, name = key.rpartition("/")
            self._fs.makedirs(folder, exist_ok=True)
            # Object stores show whole files only; a folder shows what is being written, too.
            beside = f"{folder}/.{name}.{uuid4().hex}" if self._is_folder else key
            try:
                self._fs.put_file(str(path), beside)
                with path.open("rb") as ours, self._fs.open(beside, "rb") as theirs:
                    if file_digest(ours, "sha256").digest() != _digest(theirs):
                        raise OSError(f"{to or path} arrived changed")
                if self._is_folder:
                    os.replace(beside, key)
            finally:
                if self._is_folder:
                    Path(beside).unlink(missing_ok=True)

    def pull(self, path: Path, to: Path | None = None) -> None:
        """Copy a file here, in one step.

        to: where to, if not to `path`.
        """
        target = to or path
        beside = target.with_name(f".{target.name}.{uuid4().hex}")
        with self._told("read"):
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                self._fs.get_file(self._key(path), str(beside))
                arrays.sync(beside)
                beside.replace(target)
            finally:
                beside.unlink(missing_ok=True)

    def pull_folder(self, folder: Path) -> None:
        """Have here the files that are there and no other copies; what was never shared stays."""
        here = {path.name for path in folder.glob("[!.]*")}  # first: what comes meanwhile is there already
        there = self.names(folder)
        for name in sorted(there - here):
            try:
                self.pull(folder / name)
            except SharedError:
                if name in self.names(folder):  # else it was replaced meanwhile
                    raise
        for name in here - there if there else ():  # nothing at all there tells more of the storage than of these
            if name.partition(".")[0].endswith(COPIED):
                (folder / name).unlink(missing_ok=True)

    def refresh(self, folder: Path) -> None:
        """As `pull_folder`. While it is tolerant: every few seconds, by one thread, and what is here is enough."""
        if not self.tolerant:
            self.pull_folder(folder)
            return
        if time.monotonic() - self._looked.get(folder, -_EVERY) < _EVERY or not self._looking.acquire(blocking=False):
            return
        try:
            self.pull_folder(folder)
        except SharedError as error:
            log.warning("%s; until then the copies here are used", error)
        finally:
            self._looked[folder] = time.monotonic()
            self._looking.release()

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
            fs, base = url_to_fs(self._url, **_OPTIONS.get(protocol, {}))
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
    def _is_folder(self) -> bool:
        return "file" in self._fs.protocol

    @property
    def _fs(self) -> Any:
        fs, base = self._found
        if "file" in fs.protocol and not Path(base).is_dir():  # else another disk would be filled in its place
            raise SharedError(f"the folder {base} of SHARED_URL is not there; mount it, or make it")
        return fs

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

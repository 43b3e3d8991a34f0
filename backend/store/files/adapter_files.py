"""Adapter files: write-once, complete before the database refers to them, fetched from shared storage on demand."""

from __future__ import annotations

import fcntl
import json
import math
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import file_digest, sha256
from pathlib import Path
from uuid import uuid4

from backend.errors import DamagedError
from backend.store.files import arrays
from backend.store.files.shared import Shared, SharedError

_CHECKSUMS = "checksums.json"


class AdapterFiles:
    """The adapter folders of one project, one per version, named by its number.

    In shared storage they are content-addressed, `<number>-<digest of the checksums file>`, and the database holds the
    digest: a worker that was taken over from cannot overwrite the files of its successor.
    """

    def __init__(self, folder: Path, shared: Shared | None) -> None:
        self.folder = folder
        self._shared = shared

    def path(self, number: int) -> Path:
        """The folder of a version, existing or not."""
        return self.folder / str(number)

    def versions(self) -> list[int]:
        """Versions whose files are kept, newest first."""
        found = set(self.here())
        if self._shared is not None:
            with suppress(SharedError):  # unreachable: local versions only
                names = {name.partition("-")[0] for name in self._shared.lately(self.folder)}
                found |= {int(name) for name in names if name.isdigit()}
        return sorted(found, reverse=True)

    def here(self) -> list[int]:
        """Versions whose files are on this host."""
        names = [path.name for path in self.folder.iterdir()] if self.folder.exists() else []
        return [int(name) for name in names if name.isdigit()]

    def write(self, number: int, fill: Callable[[Path], None], *, allowed: Callable[[], None] = lambda: None) -> None:
        """Let `fill` write the files to a temporary folder, then rename it, replacing the result of an earlier try.

        allowed: called right before the rename; raises to prevent it.
        """

        def with_checksums(folder: Path) -> None:
            fill(folder)
            (folder / _CHECKSUMS).write_text(json.dumps(_checksums(folder), indent=1), "utf-8")
            arrays.sync(folder)
            allowed()

        self._put(number, with_checksums)

    def share(self, number: int) -> str | None:
        """Copy a version to shared storage. Returns its digest, to store in the database; None without such storage."""
        if self._shared is None:
            return None
        path, digest = self.path(number), self._digest(number)
        names = [each.relative_to(path) for each in sorted(path.rglob("*")) if each.is_file()]
        for name in sorted(names, key=lambda name: name.name == _CHECKSUMS):  # last: it marks completeness
            self._shared.push(path / name, self._there(number, digest) / name)
        return digest

    def ready(self, number: int, digest: str | None) -> Path:
        """The folder of a version, fetched if the local copy does not match `digest`. Raises `DamagedError`."""
        path = self.path(number)
        if self._shared is not None and digest is not None and not self._is_right(number, digest):
            with self._alone():
                if not self._is_right(number, digest):  # another process may have fetched it meanwhile
                    self._fetch(number, digest, self._shared)
        if wrong := self._damage(path):
            raise DamagedError(wrong)
        return path

    def prune(self, keep: set[int]) -> None:
        """Delete every version not in `keep`, and temporary folders of killed processes."""
        for path in self.folder.iterdir() if self.folder.exists() else ():
            if (path.name.isdigit() and int(path.name) not in keep) or (not path.name.isdigit() and self._left(path)):
                shutil.rmtree(path)
        if self._shared is not None:
            for name in {name.partition("/")[0] for name in self._shared.names(self.folder)}:
                number = name.partition("-")[0]
                # Newer versions belong to another worker, if it has just taken this project over.
                if number.isdigit() and int(number) not in keep and int(number) < max(keep, default=math.inf):
                    self._shared.drop(self.folder / name)

    def _fetch(self, number: int, digest: str, shared: Shared) -> None:
        """Copy a version from shared storage to this host."""
        there = self._there(number, digest)
        names = shared.names(there)
        if _CHECKSUMS not in names:
            raise DamagedError("its files are not in shared storage")

        def pull(folder: Path) -> None:
            for name in names:
                shared.pull(there / name, folder / name)

        self._put(number, pull)

    def _is_right(self, number: int, digest: str) -> bool:
        return self._digest(number) == digest and self._damage(self.path(number)) is None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Serialize fetches of all processes: two fetches of one version would delete each other's files."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.folder.with_name("adapters.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _left(self, path: Path) -> bool:
        """Whether a temporary folder is a leftover. With shared storage, other processes may be writing theirs."""
        return self._shared is None or arrays.was_left(path)

    def _put(self, number: int, fill: Callable[[Path], None]) -> None:
        path = self.path(number)
        temporary = path.with_name(f".{path.name}.{uuid4().hex}")
        temporary.mkdir(parents=True)
        try:
            fill(temporary)
            if path.exists():
                shutil.rmtree(path)
            temporary.rename(path)
            arrays.sync_folder(path.parent)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def _digest(self, number: int) -> str | None:
        try:
            return sha256((self.path(number) / _CHECKSUMS).read_bytes()).hexdigest()
        except OSError:
            return None

    def _there(self, number: int, digest: str | None) -> Path:
        return self.folder / f"{number}-{digest}"

    @staticmethod
    def _damage(path: Path) -> str | None:
        """Which files differ from their checksums; None if none does."""
        try:
            expected = json.loads((path / _CHECKSUMS).read_text("utf-8"))
            found = _checksums(path)
        except FileNotFoundError:
            return None if (path / "learner.json").exists() else "its files are gone"  # older release
        except (OSError, ValueError) as error:
            return f"{_CHECKSUMS} cannot be read ({type(error).__name__})"
        wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
        return f"{', '.join(wrong)} changed since it was written" if wrong else None


def _checksums(folder: Path) -> dict[str, str]:
    """SHA-256 of every file, by its relative path."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != _CHECKSUMS:
            with path.open("rb") as file:
                found[path.relative_to(folder).as_posix()] = file_digest(file, "sha256").hexdigest()
    return found

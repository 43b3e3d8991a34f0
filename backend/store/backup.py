"""Backup and restore of all that cannot be recomputed: the database and the adapters that it names."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from backend.errors import BackendError
from backend.store import Store
from backend.store.sql import snapshots

_STATE = "state.sqlite3"
_OURS = ("projects", "workflows.sqlite3*", f"{_STATE}*")  # the state last: it refers to the others
_BEFORE = "before-restore-"
_UNFINISHED = ".restoring-"
_WEB = "web.lock"
_DAY = 24 * 3600.0


def backup(folder: Path, archive: Path) -> None:
    """Write an archive of `folder` by atomic rename; the backend may be running.

    Scores, embeddings and workflow records are left out: they are recomputed.
    """
    archive.parent.mkdir(parents=True, exist_ok=True)
    for left in archive.parent.glob(f".{archive.name}.*"):
        if time.time() - left.stat().st_mtime > _DAY:  # left by a killed backup
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=archive.parent, prefix=f".{archive.name}.") as temporary:
        copy, unfinished = Path(temporary) / _STATE, Path(temporary) / archive.name
        # The state first: adapter files are complete before the state names them, and are kept for some rounds.
        snapshots.copy(folder / _STATE, copy)
        with tarfile.open(unfinished, "w:gz") as tar:
            tar.add(copy, _STATE)
            for adapter in sorted(folder.glob("projects/*/adapters/[0-9]*")):
                with contextlib.suppress(FileNotFoundError):  # a round that finishes meanwhile deletes the oldest
                    tar.add(adapter, adapter.relative_to(folder).as_posix())
        unfinished.chmod(0o600)  # it contains all texts
        unfinished.replace(archive)


def files(folder: Path) -> list[Path]:
    """The backend's own files and folders directly in `folder`, the state last."""
    return [path for pattern in _OURS for path in sorted(folder.glob(pattern))]


def restore(archive: Path, folder: Path) -> Path | None:
    """Replace the state in `folder` by an archive. Returns the subfolder that keeps the former state, None without one.

    Works inside `folder`, which may be a mounted volume, and touches only files of the backend. Raises `BackendError`
    and changes nothing if a worker or web server runs there, the archive is damaged or no backup, or a file cannot be
    moved. If killed, run it again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with nobody_at_work(folder):
        for left in folder.glob(f"{_UNFINISHED}*"):
            shutil.rmtree(left, ignore_errors=True)
        return _restore(archive, folder)


def _restore(archive: Path, folder: Path) -> Path | None:
    there = files(folder)
    with tempfile.TemporaryDirectory(dir=folder, prefix=_UNFINISHED) as temporary:
        fresh = Path(temporary)
        try:
            with tarfile.open(archive, "r:gz") as tar:
                needed, free = sum(member.size for member in tar), shutil.disk_usage(folder).free
                if needed > free:
                    raise BackendError(
                        f"{archive} unpacks to {needed >> 20} MB, and {free >> 20} MB are free; make room"
                    )
                tar.extractall(fresh, filter="data")
        except (tarfile.TarError, OSError, EOFError) as error:
            raise BackendError(f"{archive} cannot be read ({type(error).__name__}: {error})") from None
        if not (fresh / _STATE).is_file() or snapshots.is_empty(fresh / _STATE) or snapshots.damage(fresh / _STATE):
            raise BackendError(f"{archive} holds no intact {_STATE}; was it written by `lsal backup`?")
        store = Store(fresh)
        store.database.migrate(restored=True)
        store.database.close()
        aside = folder / f"{_BEFORE}{time.strftime('%Y%m%d-%H%M%S')}"
        if there:
            aside.mkdir(exist_ok=True)
        try:
            _move([(each, aside / each.name) for each in there] + [(each, folder / each.name) for each in files(fresh)])
        finally:
            if aside.exists() and not any(aside.iterdir()):
                aside.rmdir()
    return aside if there else None


def _move(moves: Sequence[tuple[Path, Path]]) -> None:
    """Rename each source to its target; if one fails, undo all."""
    done: list[tuple[Path, Path]] = []
    try:
        for source, target in moves:
            if source.exists():  # SQLite deletes its WAL when the last connection closes
                source.rename(target)
                done.append((source, target))
    except OSError as error:
        for former, moved in reversed(done):
            moved.rename(former)
        raise BackendError(f"{source} cannot be moved ({error.strerror}); nothing was changed") from None


def attend(folder: Path) -> TextIO:
    """Hold the lock of web servers, which they share, until the returned file is closed or the process ends."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = (folder / _WEB).open("a")
    fcntl.flock(lock, fcntl.LOCK_SH)
    return lock


@contextmanager
def nobody_at_work(folder: Path) -> Iterator[None]:
    """Hold the locks of worker and web server, so that none can start. Raises `BackendError` if one runs."""
    with (folder / "worker.lock").open("a") as worker, (folder / _WEB).open("a") as web:
        for lock, who in ((worker, "worker"), (web, "web server")):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BackendError(f"a {who} runs on {folder}; stop web server and worker first") from None
        yield

"""One archive of all that cannot be computed again: the state, and the adapters that it names."""

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

from backend.errors import BackendError
from backend.store import Store, snapshots

_STATE = "state.sqlite3"
_OURS = ("projects", "workflows.sqlite3*", f"{_STATE}*")  # the state last: with it, the rest is taken for granted
_BEFORE = "before-restore-"
_UNFINISHED = ".restoring-"
_DAY = 24 * 3600.0


def backup(folder: Path, archive: Path) -> None:
    """Write an archive of `folder`, whoever works in it meanwhile; it is there whole or not at all.

    Scores, embeddings and the records of workflows are left out: they are made again.
    """
    archive.parent.mkdir(parents=True, exist_ok=True)
    for left in archive.parent.glob(f".{archive.name}.*"):
        if time.time() - left.stat().st_mtime > _DAY:  # by one that was killed
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=archive.parent, prefix=f".{archive.name}.") as beside:
        copy, unfinished = Path(beside) / _STATE, Path(beside) / archive.name
        # The state first: adapters are complete before it names them, and stay for some rounds after.
        snapshots.copy(folder / _STATE, copy)
        with tarfile.open(unfinished, "w:gz") as tar:
            tar.add(copy, _STATE)
            for adapter in sorted(folder.glob("projects/*/adapters/[0-9]*")):
                with contextlib.suppress(FileNotFoundError):  # a round that ends meanwhile deletes the oldest
                    tar.add(adapter, adapter.relative_to(folder).as_posix())
        unfinished.chmod(0o600)  # it holds every text
        unfinished.replace(archive)


def restore(archive: Path, folder: Path) -> Path | None:
    """Put an archive in the place of what is in `folder`; the folder that keeps that now, if anything was there.

    Works inside `folder`, which may be a mounted volume, and touches there only what is ours. Raises `BackendError` if
    a worker runs there, if the archive is none of ours or damaged, or if something cannot be moved: then all is as it
    was. After a kill in the middle, the same command again does it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with nobody_at_work(folder):
        for left in folder.glob(f"{_UNFINISHED}*"):
            shutil.rmtree(left, ignore_errors=True)
        return _restore(archive, folder)


def _restore(archive: Path, folder: Path) -> Path | None:
    there = [path for pattern in _OURS for path in sorted(folder.glob(pattern))]
    with tempfile.TemporaryDirectory(dir=folder, prefix=_UNFINISHED) as beside:
        fresh = Path(beside)
        try:
            with tarfile.open(archive, "r:gz") as tar:
                tar.extractall(fresh, filter="data")
        except (tarfile.TarError, OSError, EOFError) as error:
            raise BackendError(f"{archive} cannot be read ({type(error).__name__}: {error})") from None
        if not (fresh / _STATE).exists() or snapshots.damage(fresh / _STATE):
            raise BackendError(f"{archive} holds no whole {_STATE}; is it a file that `lsal backup` wrote?")
        store = Store(fresh)
        store.database.migrate(restored=True)
        store.database.close()
        aside = folder / f"{_BEFORE}{time.strftime('%Y%m%d-%H%M%S')}"
        if there:
            aside.mkdir(exist_ok=True)
        new = [path for pattern in _OURS for path in sorted(fresh.glob(pattern))]
        try:
            _move([*((path, aside / path.name) for path in there), *((path, folder / path.name) for path in new)])
        finally:
            if aside.exists() and not any(aside.iterdir()):
                aside.rmdir()
    return aside if there else None


def _move(moves: Sequence[tuple[Path, Path]]) -> None:
    """Move each from the first place to the second; if one cannot be, all go back."""
    done: list[tuple[Path, Path]] = []
    try:
        for source, target in moves:
            if source.exists():  # SQLite deletes its log when the last who used the file lets go of it
                source.rename(target)
                done.append((source, target))
    except OSError as error:
        for former, moved in reversed(done):
            moved.rename(former)
        raise BackendError(f"{source} cannot be moved ({error.strerror}); all is as it was") from None


@contextmanager
def nobody_at_work(folder: Path) -> Iterator[None]:
    """Hold the worker's lock, so that none starts meanwhile."""
    with (folder / "worker.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackendError(f"a worker runs on {folder}; stop web server and worker first") from None
        yield

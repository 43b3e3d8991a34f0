"""One archive of all that cannot be computed again: the state, and the adapters that it names."""

from __future__ import annotations

import contextlib
import fcntl
import tarfile
import tempfile
import time
from pathlib import Path

from backend.errors import BackendError
from backend.store import Store, snapshots

_STATE = "state.sqlite3"
_BEFORE = "before-restore-"


def backup(folder: Path, archive: Path) -> None:
    """Write an archive of `folder`, whoever works in it meanwhile; it is there whole or not at all.

    Scores, embeddings and the records of workflows are left out: they are made again.
    """
    archive.parent.mkdir(parents=True, exist_ok=True)
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

    Works inside `folder`, which may be a mounted volume. Raises `BackendError` if a worker runs there, or the archive
    is none of ours or damaged: then nothing has changed.
    """
    _refuse_while_used(folder)
    folder.mkdir(parents=True, exist_ok=True)
    there = [path for path in folder.iterdir() if not path.name.startswith(_BEFORE)]
    with tempfile.TemporaryDirectory(dir=folder, prefix=".restoring-") as beside:
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
        for path in there:
            aside.mkdir(exist_ok=True)
            path.rename(aside / path.name)
        for path in fresh.iterdir():
            path.rename(folder / path.name)
    return aside if there else None


def _refuse_while_used(folder: Path) -> None:
    lock = folder / "worker.lock"
    if not lock.exists():
        return
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackendError(f"a worker runs on {folder}; stop web server and worker first") from None

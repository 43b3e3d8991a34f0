"""Recovery of a damaged database from the last snapshot, and backups during writes."""

from __future__ import annotations

import fcntl
import io
import os
import sqlite3
import tarfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from backend.errors import BackendError
from backend.rounds.engine.notifier import notify
from backend.store import Store
from backend.store.backup import attend, backup, restore
from backend.store.sql import snapshots
from backend.store.sql.models import Adapter


def filled(folder: Path) -> Store:
    store = Store(folder)
    store.database.migrate()
    store.projects.connect(7, label_config="x", options={}, host="b.local")
    store.of(7).tasks.put_texts([(n, f"a text {n} " * 20) for n in range(1, 400)], seed=0, audit_share=0.1)
    return store


def adapter(store: Store, number: int) -> None:
    store.files.adapters(7).write(
        number,
        lambda folder: (folder / "learner.json").write_text(f'{{"n": {number}}}') and None,
    )
    store.of(7).rounds.put_adapter(
        Adapter(
            project_id=7, number=number, base_model="m", fingerprint="f", targets=[], examples=1, created_at=0.0
        )
    )  # fmt: skip
    store.projects.set(7, adapter=number)


def break_(path: Path, how: str) -> None:
    if how == "truncated":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif how == "overwritten":
        with path.open("r+b") as file:
            file.seek(4096)
            file.write(b"\xff" * 3 * 4096)
    else:
        path.write_bytes(b"this is no database at all, " * 500)


@pytest.mark.parametrize("how", ["truncated", "overwritten", "replaced"])
def test_a_damaged_database_is_set_aside_and_its_snapshot_takes_its_place(
    tmp_path: Path, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = filled(tmp_path)
    adapter(store, 1)
    store.database.file.snapshot(older_than=3600.0)
    store.of(7).tasks.put_texts([(900, "came after the snapshot")], seed=0, audit_share=0.1)
    store.database.file.snapshot(older_than=3600.0)  # too early for another
    store.database.close()
    break_(store.database.file.path, how)
    for beside in tmp_path.glob("state.sqlite3-*"):
        beside.unlink()
    assert snapshots.damage(store.database.file.path) is not None

    again = Store(tmp_path)
    again.database.migrate()
    project = again.projects.get(7)
    assert project is not None
    assert (again.of(7).tasks.count(), project.adapter) == (399, 1)
    assert (project.reread, project.task_mark, project.split) == (True, 0, None), "the rest is read again"
    assert len(list(tmp_path.glob("state.sqlite3.damaged-*"))) == 1
    assert "the snapshot of" in caplog.text
    again.database.migrate()
    assert len(list(tmp_path.glob("state.sqlite3.damaged-*"))) == 1, "once"


def test_without_a_snapshot_a_damaged_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    store = filled(tmp_path)
    store.database.close()
    break_(store.database.file.path, "replaced")
    before = store.database.file.path.read_bytes()
    with pytest.raises(BackendError, match=r"cannot be opened.*restore MODEL_DIR from a backup"):
        Store(tmp_path).database.migrate()
    assert store.database.file.path.read_bytes() == before


def test_a_process_that_is_running_sees_the_file_that_took_the_place(tmp_path: Path) -> None:
    web = filled(tmp_path)
    web.database.file.snapshot(older_than=3600.0)
    assert web.of(7).tasks.count() == 399
    aside = snapshots.set_aside(web.database.file.path)
    snapshots.copy(web.database.file.snapshot_path, web.database.file.path)
    web.events.add(7, "X")
    worker = Store(tmp_path)
    assert worker.events.count() == 1, f"the event went into {aside.name}"


def test_a_whole_database_and_none_at_all_are_not_damaged(tmp_path: Path) -> None:
    assert snapshots.damage(tmp_path / "none.sqlite3") is None
    assert snapshots.damage(filled(tmp_path).database.file.path) is None


def test_a_backup_is_consistent_while_it_is_written_to_and_comes_back(tmp_path: Path) -> None:
    store = filled(tmp_path / "state")
    adapter(store, 1)
    adapter(store, 2)
    stop = threading.Event()

    def write() -> None:
        number = 1000
        while not stop.is_set():  # two rows in one transaction, always
            store.of(7).tasks.put_texts([(number, "a"), (number + 1, "b")], seed=0, audit_share=0.0)
            number += 2

    writer = threading.Thread(target=write)
    writer.start()
    try:
        archives = [tmp_path / f"{n}.tar.gz" for n in range(5)]
        for archive in archives:
            backup(tmp_path / "state", archive)
    finally:
        stop.set()
        writer.join()
    for archive in archives:
        folder = tmp_path / f"restored-{archive.stem}"
        assert restore(archive, folder) is None
        found = Store(folder)
        assert (found.of(7).tasks.count() - 399) % 2 == 0, "no partial transaction"
        assert found.files.adapters(7).versions() == [2, 1]
        assert found.files.adapters(7).ready(2, None) == found.files.adapters(7).path(2)
        project = found.projects.get(7)
        assert project is not None
        assert (project.adapter, project.reread, project.split) == (2, True, None)
    assert {path.name for path in tmp_path.iterdir() if path.name.startswith(".")} == set()


def test_what_was_there_is_kept_beside(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    store = filled(folder)
    backup(folder, tmp_path / "b.tar.gz")
    store.projects.set(7, host="changed")
    store.database.close()
    aside = restore(tmp_path / "b.tar.gz", folder)
    assert aside is not None
    for path, host in ((folder, "b.local"), (aside, "changed")):
        project = Store(path).projects.get(7)
        assert project is not None
        assert project.host == host


def test_a_restore_is_refused_while_the_backend_runs_and_from_what_is_no_backup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "state"
    store = filled(folder)
    store.database.close()
    backup(folder, tmp_path / "b.tar.gz")
    with (folder / "worker.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(BackendError, match="a worker runs on"):
            restore(tmp_path / "b.tar.gz", folder)
    with attend(folder), attend(folder), pytest.raises(BackendError, match="a web server runs on"):
        restore(tmp_path / "b.tar.gz", folder)
    before = sorted(path.name for path in folder.iterdir())
    for name, content in {"cut": (tmp_path / "b.tar.gz").read_bytes()[:2000], "text": b"no archive"}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BackendError, match="cannot be read"):
            restore(tmp_path / name, folder)
    with tarfile.open(tmp_path / "other.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "text", "readme.txt")
    (tmp_path / "nothing").touch()
    with tarfile.open(tmp_path / "empty.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "nothing", "state.sqlite3")
    for name in ("other", "empty"):
        with pytest.raises(BackendError, match=r"holds no intact state\.sqlite3"):
            restore(tmp_path / f"{name}.tar.gz", folder)
    with tarfile.open(tmp_path / "bomb.tar.gz", "w:gz") as tar:
        large = tarfile.TarInfo("state.sqlite3")
        large.size = 50 * 2**20
        tar.addfile(large, io.BytesIO(bytes(large.size)))
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=40 * 2**20))
    with pytest.raises(BackendError, match="unpacks to 50 MB, and 40 MB are free; make room"):
        restore(tmp_path / "bomb.tar.gz", folder)
    assert sorted(path.name for path in folder.iterdir()) == before


def test_a_restore_touches_what_is_ours_only_and_does_all_or_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "state"
    store = filled(folder)
    adapter(store, 1)
    store.database.close()
    backup(folder, tmp_path / "b.tar.gz")
    (folder / "lost+found").mkdir()
    (folder / ".restoring-killed").mkdir()
    real = Path.rename

    def stuck(path: Path, target: Path) -> Path:
        if path.name == "state.sqlite3" and path.parent == folder:
            raise PermissionError(13, "Permission denied")
        return real(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", stuck)
        with pytest.raises(
            BackendError, match=r"state\.sqlite3 cannot be moved \(Permission denied\); nothing was changed"
        ):
            restore(tmp_path / "b.tar.gz", folder)
    assert Store(folder).files.adapters(7).versions() == [1]
    assert Store(folder).of(7).tasks.count() == 399
    aside = restore(tmp_path / "b.tar.gz", folder)
    assert aside is not None
    assert (folder / "lost+found").is_dir()
    assert not (folder / ".restoring-killed").exists()
    assert (Store(folder).files.adapters(7).versions(), Store(aside).files.adapters(7).versions()) == ([1], [1])


def test_what_a_killed_backup_left_goes_with_the_next(tmp_path: Path) -> None:
    store = filled(tmp_path / "state")
    store.database.close()
    (tmp_path / ".b.tar.gz.killed").mkdir()
    (tmp_path / ".b.tar.gz.killed" / "state.sqlite3").write_text("texts")
    (tmp_path / ".b.tar.gz.working").mkdir()
    os.utime(tmp_path / ".b.tar.gz.killed", (1e9, 1e9))
    backup(tmp_path / "state", tmp_path / "b.tar.gz")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".b.tar.gz.working", "b.tar.gz", "state"]


def test_damage_that_is_met_while_running_is_looked_into(tmp_path: Path) -> None:
    """The first page is intact, so that the database opens; the texts are damaged."""
    store = filled(tmp_path)
    store.database.close()
    for beside in tmp_path.glob("state.sqlite3-*"):
        beside.unlink()
    size = store.database.file.path.stat().st_size
    with store.database.file.path.open("r+b") as file:
        file.seek(size - 12 * 4096)
        file.write(b"\xff" * 12 * 4096)
    assert store.projects.all()
    assert not store.database.file.suspect
    with pytest.raises(DatabaseError):
        store.of(7).tasks.every()
    assert store.database.file.suspect
    rounds = SimpleNamespace(records=tmp_path / "workflows.sqlite3", revive=lambda *_: None, forget=lambda **_: None)
    store.projects.set(7, synced_at=time.time())
    with pytest.raises(BackendError, match=r"state\.sqlite3 is damaged .*start the worker again"):
        notify(rounds, store, lambda: None, sync_interval=3600.0, stop=threading.Event())  # type: ignore[arg-type]


def test_a_file_that_is_gone_while_running_is_damage_too(tmp_path: Path) -> None:
    store = filled(tmp_path)
    store.database.file.snapshot(older_than=3600.0)
    store.of(7).tasks.put_texts([(900, "in the log, not yet in the file")], seed=0, audit_share=0.1)
    (tmp_path / "log").write_bytes((tmp_path / "state.sqlite3-wal").read_bytes())
    store.database.file.path.unlink()
    rounds = SimpleNamespace(records=tmp_path / "workflows.sqlite3")
    with pytest.raises(BackendError, match=r"state\.sqlite3 is damaged \(gone or empty\)"):
        notify(rounds, store, lambda: None, sync_interval=3600.0, stop=threading.Event())  # type: ignore[arg-type]
    store.database.close()
    (tmp_path / "state.sqlite3-wal").write_bytes((tmp_path / "log").read_bytes())  # as a kill leaves it
    again = Store(tmp_path)
    again.database.migrate()
    assert again.of(7).tasks.count() == 399
    assert snapshots.damage(again.database.file.path) is None, "the old WAL was not applied to it"


def test_records_of_workflows_that_are_damaged_are_noticed(tmp_path: Path) -> None:
    store = filled(tmp_path)
    records = tmp_path / "workflows.sqlite3"
    records.write_bytes(b"no database " * 1000)

    def enqueue(*_: int) -> bool:
        with closing(sqlite3.connect(records)) as connection:
            connection.execute("SELECT * FROM workflow_status")
        return False

    rounds = SimpleNamespace(records=records, enqueue=enqueue)
    with pytest.raises(BackendError, match=r"workflows\.sqlite3 is damaged"):
        notify(rounds, store, lambda: None, sync_interval=3600.0, stop=threading.Event())  # type: ignore[arg-type]


def file(name: str, content: bytes = b"x", mode: int = 0o644) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), mode
    return member, content


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member, b""


# Members beside the state, and whether the archive is refused for them.
HOSTILE = {
    "a folder up": ([file("../outside.txt")], True),
    "a link to the outside": ([link("projects", "/tmp"), file("projects/outside.txt")], True),
    "a link to the folder itself": ([link("projects", "."), file("projects/workflows.sqlite3")], False),
    "a hard link to the outside": ([link("projects/h", "../victim.txt", tarfile.LNKTYPE)], True),
    "a device": ([link("projects/device", "", tarfile.CHRTYPE)], True),
    "a pipe": ([link("projects/pipe", "", tarfile.FIFOTYPE)], True),
    "a program of somebody else": ([file("projects/1/adapters/1/x", mode=0o4755)], False),
    "a file that nobody may read": ([file("projects/1/x", mode=0)], False),
    "files of others": ([file("lost+found/x"), file("evil.py")], False),
    "damaged records of workflows": ([file("workflows.sqlite3", b"no database")], False),
    "the state once more": ([file("state.sqlite3", b"x" * 100)], True),
    "a log of changes": ([file("state.sqlite3-wal", b"x" * 100)], False),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_archive_writes_nothing_but_ours(tmp_path: Path, case: str) -> None:
    filled(tmp_path / "source").database.close()
    backup(tmp_path / "source", tmp_path / "good.tar.gz")
    (tmp_path / "victim.txt").write_text("mine")
    folder = tmp_path / "state"
    folder.mkdir()
    members, is_refused = HOSTILE[case]
    with tarfile.open(tmp_path / "evil.tar.gz", "w:gz") as evil:
        with tarfile.open(tmp_path / "good.tar.gz") as good:
            evil.addfile(good.getmember("state.sqlite3"), good.extractfile("state.sqlite3"))
        for member, content in members:
            evil.addfile(member, io.BytesIO(content))
    beside = {"evil.tar.gz", "good.tar.gz", "source", "state", "victim.txt"}
    if is_refused:
        with pytest.raises(BackendError, match=r"cannot be read|holds no intact"):
            restore(tmp_path / "evil.tar.gz", folder)
        assert {path.name for path in folder.iterdir()} == {"web.lock", "worker.lock"}
    else:
        restore(tmp_path / "evil.tar.gz", folder)
        assert Store(folder).of(7).tasks.count() == 399
        ours = {"projects", "state.sqlite3", "state.sqlite3.lock", "web.lock", "worker.lock", "workflows.sqlite3"}
        assert {path.name.removesuffix("-wal").removesuffix("-shm") for path in folder.iterdir()} <= ours
        assert not any(path.stat().st_mode & 0o7000 for path in folder.rglob("*") if path.is_file())
    assert (tmp_path / "victim.txt").read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} == beside
    assert not Path("/tmp/outside.txt").exists()


def test_a_folder_in_place_of_the_state_is_no_backup(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "evil.tar.gz", "w:gz") as evil:
        member, content = file("state.sqlite3/x")
        evil.addfile(member, io.BytesIO(content))
    with pytest.raises(BackendError, match=r"holds no intact state\.sqlite3"):
        restore(tmp_path / "evil.tar.gz", tmp_path / "state")


def test_a_start_that_was_killed_in_the_middle_of_a_recovery_is_made_up_for(tmp_path: Path) -> None:
    store = filled(tmp_path)
    store.database.file.snapshot(older_than=3600.0)
    store.database.close()
    for empty in (False, True):
        snapshots.set_aside(store.database.file.path)
        if empty:
            store.database.file.path.touch()  # as a process that looks for it would
        again = Store(tmp_path)
        again.database.migrate()
        assert again.of(7).tasks.count() == 399
        again.database.close()


def test_a_damaged_database_is_not_copied_over_a_good_snapshot(tmp_path: Path) -> None:
    store = filled(tmp_path)
    store.database.file.snapshot(older_than=3600.0)
    good = store.database.file.snapshot_path.read_bytes()
    store.database.close()
    with store.database.file.path.open("r+b") as file:
        file.seek(4096 * 5)
        file.write(b"\xff" * 4096)
    assert snapshots.damage(store.database.file.path) is not None
    with pytest.raises(sqlite3.DatabaseError):
        snapshots.copy(store.database.file.path, store.database.file.snapshot_path)
    assert store.database.file.snapshot_path.read_bytes() == good


def test_snapshots_taken_at_the_same_time_do_not_collide(tmp_path: Path) -> None:
    """Rounds of two projects finish in two threads of one process."""
    file = filled(tmp_path).database.file
    for _ in range(15):
        start = threading.Barrier(2)

        def snapshot(_number: int, start: threading.Barrier = start) -> None:
            start.wait()
            file.snapshot(older_than=0.0)

        with ThreadPoolExecutor(2) as threads:
            list(threads.map(snapshot, range(2)))
        assert not file.suspect
        assert snapshots.damage(file.snapshot_path) is None
    with closing(sqlite3.connect(file.snapshot_path)) as found:
        assert found.execute("SELECT count(*) FROM tasks").fetchone() == (399,)
    assert list(tmp_path.glob(".*")) == []


def test_a_snapshot_removes_what_killed_processes_left(tmp_path: Path) -> None:
    file = filled(tmp_path).database.file
    for name in (".state.sqlite3.snapshot.1234", ".state.sqlite3.snapshot.0af3-wal"):
        (tmp_path / name).write_text("texts")
        os.utime(tmp_path / name, (1e9, 1e9))
    (tmp_path / ".state.sqlite3.snapshot.5678").write_text("another process writes it now")
    file.snapshot(older_than=3600.0)
    assert [path.name for path in tmp_path.glob(".*")] == [".state.sqlite3.snapshot.5678"]


def test_a_commit_is_on_the_disk(store: Store) -> None:
    """A power cut cannot be made here; SQLite promises it for this setting (synchronous = 2, FULL)."""
    with store.database.write() as session:
        assert session.execute(text("PRAGMA synchronous")).scalar() == 2
        assert session.execute(text("PRAGMA journal_mode")).scalar() == "wal"

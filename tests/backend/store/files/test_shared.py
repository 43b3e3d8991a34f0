"""Shared storage in a bucket (S3 by moto) and in a folder such as NFS: other hosts read complete files only."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Event
from typing import Any

import numpy as np
import pytest
from moto.server import ThreadedMotoServer

from backend.doctor.machine import shared_storage
from backend.errors import DamagedError
from backend.learners.models.cache import BaseModels
from backend.rounds.context import Context
from backend.store import Store
from backend.store.files import shared
from backend.store.files.folders import Files
from backend.store.files.shared import SharedError, without_user
from backend.web.serving import Serving
from tests.backend.played import no_bar
from tests.backend.rounds.test_rounds import fill
from tests.backend.steps import do


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=["s3", "folder"])
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """URL of empty shared storage."""
    monkeypatch.setattr(shared, "_EVERY", 0.0)
    if request.param == "folder":
        (tmp_path / "shared").mkdir()
        return str(tmp_path / "shared")
    from s3fs import S3FileSystem

    monkeypatch.setenv("AWS_ENDPOINT_URL", request.getfixturevalue("s3"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    S3FileSystem.clear_instance_cache()
    bucket = f"bucket-{tmp_path.name.replace('_', '-').lower()[-40:]}"
    S3FileSystem().mkdir(bucket)
    return f"s3://{bucket}/team"


@pytest.fixture
def hosts(url: str, tmp_path: Path) -> tuple[Files, Files]:
    return Files(tmp_path / "a", url), Files(tmp_path / "b", url)


@pytest.fixture
def stores(url: str, tmp_path: Path) -> tuple[Store, Store]:
    """The stores of two hosts with one database."""
    first = Store(tmp_path / "a", None, url)
    first.database.migrate()
    return first, Store(tmp_path / "b", f"sqlite:///{tmp_path}/a/state.sqlite3", url)


def _write(text: str) -> Any:
    def fill_in(folder: Path) -> None:
        (folder / "deep").mkdir()
        (folder / "deep" / "weights").write_text(text)
        (folder / "heads").write_text(text)

    return fill_in


def test_what_one_host_computed_another_reads(hosts: tuple[Files, Files]) -> None:
    ours, theirs = (files.scores(1, 4) for files in hosts)
    ours.add([1, 2], {"a": np.array([10.0, 20.0])})
    assert theirs.take("a", [2, 1]).tolist() == [20, 10]
    ours.add([3], {"a": np.array([30.0])})
    assert not theirs.is_current()
    again = hosts[1].scores(1, 4)
    assert again.take("a", [3, 1]).tolist() == [30, 10]
    assert len(list(again.folder.iterdir())) == 1, "the replaced shard is deleted here, too"
    again.add([4], {"a": np.array([40.0])})
    assert hosts[0].scores(1, 4).take("a", [4, 1]).tolist() == [40, 10]
    hosts[0].prune(1, keep=set())
    assert len(hosts[0].scores(1, 4)) == 0
    hosts[1].forget_copies(1, [4])
    assert len(hosts[1].scores(1, 4)) == 0


def test_a_map_is_replaced(hosts: tuple[Files, Files]) -> None:
    assert hosts[1].map(1) is None
    for value in (1, 2):
        hosts[0].put_map(1, {"tasks": np.array([value])})
        found = hosts[1].map(1)
        assert found is not None
        assert found["tasks"].tolist() == [value]


def test_an_adapter_is_fetched_whole(hosts: tuple[Files, Files]) -> None:
    ours, theirs = (files.adapters(1) for files in hosts)
    ours.write(3, _write("x"))
    assert theirs.versions() == [], "invisible before it is shared"
    digest = ours.share(3)
    assert digest is not None
    assert (ours.versions(), theirs.versions()) == ([3], [3])
    folder = theirs.ready(3, digest)
    assert (folder / "deep" / "weights").read_text() == "x"
    (folder / "heads").write_text("changed")
    assert (theirs.ready(3, digest) / "heads").read_text() == "x", "fetched again"
    assert [path.name for path in theirs.folder.iterdir()] == ["3"]


def test_what_is_kept_no_more_leaves(hosts: tuple[Files, Files]) -> None:
    ours, theirs = (files.adapters(1) for files in hosts)
    for number in (1, 2, 3):
        ours.write(number, _write(str(number)))
        digest = ours.share(number)
        theirs.ready(number, digest)
    hosts[0].prune(1, keep={2, 3})
    assert (ours.versions(), sorted(theirs.here())) == ([3, 2], [1, 2, 3])
    hosts[1].forget_copies(1, [1])
    assert sorted(theirs.here()) == [2, 3]
    with pytest.raises(DamagedError, match="its files are not in shared storage"):
        theirs.ready(1, "0" * 64)


def test_many_processes_of_one_host_fetch_it_once(url: str, tmp_path: Path) -> None:
    source = Files(tmp_path / "a", url).adapters(1)
    source.write(3, lambda folder: [(folder / f"f{n}").write_text("x" * 999) for n in range(20)])
    digest = source.share(3)
    for attempt in range(3):
        start = Barrier(4)

        def fetch(_number: int, attempt: int = attempt, start: Barrier = start) -> int:
            start.wait()
            folder = Files(tmp_path / f"b{attempt}", url).adapters(1).ready(3, digest)
            return len(list(folder.iterdir()))

        with ThreadPoolExecutor(4) as threads:
            assert list(threads.map(fetch, range(4))) == [21] * 4


def test_storage_that_is_empty_or_not_mounted_deletes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = Files(tmp_path / "a")
    alone.scores(1, 1).add([1, 2], {"a": np.array([10.0, 20.0])})
    alone.put_map(1, {"tasks": np.array([5])})
    for number in (1, 2):
        alone.adapters(1).write(number, _write("x"))
    (tmp_path / "empty").mkdir()
    sharing = Files(tmp_path / "a", str(tmp_path / "empty"))
    assert sharing.scores(1, 1).take("a", [2]).tolist() == [20]
    assert sharing.map(1) is not None
    assert sharing.adapters(1).versions() == [2, 1]
    with pytest.raises(SharedError, match="does not exist; mount or create it"):
        Files(tmp_path / "a", str(tmp_path / "gone")).adapters(1).share(1)
    assert not (tmp_path / "gone").exists()


def test_one_thread_waits_for_storage_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = Files(tmp_path / "a")
    alone.scores(1, 1).add([1], {"a": np.array([10.0])})
    files = Files(tmp_path / "a", str(tmp_path))
    assert files.shared is not None
    files.shared.tolerant = True
    hanging, asked = Event(), list[int]()

    def hang(_folder: Path) -> None:
        asked.append(1)
        hanging.wait(30)
        raise SharedError("away")

    monkeypatch.setattr(files.shared, "pull_folder", hang)
    with ThreadPoolExecutor(3) as threads:
        first = threads.submit(lambda: files.scores(1, 1).take("a", [1]))
        while not asked:
            pass
        others = [threads.submit(lambda: files.scores(1, 1).take("a", [1])) for _ in range(2)]
        assert [each.result(5).tolist() for each in others] == [[10.0]] * 2
        hanging.set()
        assert first.result(5).tolist() == [10.0]
    assert asked == [1]


def test_two_of_one_number_do_not_mingle(hosts: tuple[Files, Files], tmp_path: Path, url: str) -> None:
    """A worker that was taken over from resumes and shares its adapter."""
    ours, theirs = (files.adapters(1) for files in hosts)
    digests = []
    for adapters, text in ((ours, "frozen"), (theirs, "taken over")):
        adapters.write(5, _write(text))
        digests.append(adapters.share(5))
    web = Files(tmp_path / "web", url).adapters(1)
    assert (web.ready(5, digests[1]) / "heads").read_text() == "taken over"
    assert (ours.ready(5, digests[1]) / "heads").read_text() == "taken over"


def test_an_upload_that_was_cut_off_is_not_taken_for_whole(
    hosts: tuple[Files, Files], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = (files.adapters(1) for files in hosts)
    ours.write(3, _write("x"))
    digest = ours._digest(3)
    real, pushed = shared.Shared.push, list[str]()

    def cut_off(self: Any, path: Path, to: Path | None = None) -> None:
        if pushed:
            raise KeyboardInterrupt
        pushed.append(path.name)
        real(self, path, to)

    monkeypatch.setattr(shared.Shared, "push", cut_off)
    with pytest.raises(KeyboardInterrupt):
        ours.share(3)
    with pytest.raises(DamagedError, match="its files are not in shared storage"):
        theirs.ready(3, digest)
    monkeypatch.undo()


def test_what_arrives_changed_is_noticed(hosts: tuple[Files, Files], monkeypatch: pytest.MonkeyPatch) -> None:
    ours = hosts[0].adapters(1)
    ours.write(3, _write("x"))
    assert hosts[0].shared is not None
    fs = hosts[0].shared._fs
    monkeypatch.setattr(fs, "put_file", lambda path, key: fs.pipe_file(key, b"other"))
    with pytest.raises(SharedError, match=r"cannot write .*differs from the original after the upload"):
        ours.share(3)


def test_storage_that_is_away_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cached copies are used."""
    pytest.importorskip("s3fs").S3FileSystem.clear_instance_cache()
    monkeypatch.setattr(shared, "_EVERY", 0.0)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden-secret")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    alone = Files(tmp_path)
    alone.scores(1, 1).add([1], {"a": np.array([10.0])})
    alone.adapters(1).write(1, _write("x"))
    files = Files(tmp_path, "s3://bucket/team")
    assert files.shared is not None
    files.shared.tolerant = True
    with pytest.raises(
        SharedError, match=r"cannot write in shared storage s3://bucket/team .*check SHARED_URL"
    ) as told:
        files.adapters(1).share(1)
    assert "hidden-secret" not in str(told.value)
    assert files.scores(1, 1).take("a", [1]).tolist() == [10]
    assert files.adapters(1).versions() == [1]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("gs://bucket", r"pip install 'label-studio-active-learning\[gcs\]'"),
        ("nonsense://x", "SHARED_URL cannot be used"),
    ],
)
def test_an_address_that_nothing_knows_is_told(url: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(SharedError, match=said):
        Files(tmp_path, url).adapters(1).share(1) or Files(tmp_path, url).prune(1, keep=set())


def test_users_in_addresses_are_not_told() -> None:
    assert without_user("ftp://ann:secret@host/x") == "ftp://host/x"
    assert without_user("s3://bucket/a@b") == "s3://bucket/a@b"


def test_a_round_goes_on_at_another_host(stores: tuple[Store, Store], tiny_encoder: Path) -> None:
    here, there = (Context(store=store, client=None, models=BaseModels(), bar=no_bar) for store in stores)  # type: ignore[arg-type]
    fill(here.store, tiny_encoder, labeled=12, strategy="badge", max_steps=12, min_steps=12)
    assert do(here, "decide", actions=["START_TRAINING"]) == 1
    version = do(here, "train", 1)
    do(there, "score", 1, version)
    do(here, "evaluate", 1, version)
    do(there, "serve", 1, version)
    do(there, "select", 1, version)
    do(there, "judge", 1, version)
    do(there, "close", 1, version)
    assert len(there.store.of(7).rounds.queue(1)) > 0
    assert there.store.files.map(7) is not None
    assert (there.store.files.root / "projects/7/adapters/1/heads.safetensors").exists()


def test_a_web_server_serves_what_a_worker_elsewhere_trained(
    stores: tuple[Store, Store], tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    here, there = stores
    assert there.files.shared is not None
    there.files.shared.tolerant = True
    context = Context(store=here, client=None, models=BaseModels(), bar=no_bar)  # type: ignore[arg-type]
    fill(here, tiny_encoder, labeled=12, max_steps=12, min_steps=12)
    do(context, "decide", actions=["START_TRAINING"])
    do(context, "serve", 1, do(context, "train", 1))
    serving = Serving(there, BaseModels())
    version, _, first = serving.predict(7, ["an apple"])
    assert version == "p7-a1"
    here.of(7).tasks.put_annotations([(13, {"topic": "fruit"}, True, False)])
    do(context, "serve", 1, do(context, "train", 1))

    def away(*_args: Any) -> Any:
        raise SharedError("cannot read in shared storage")

    with monkeypatch.context() as patch:
        patch.setattr(shared.Shared, "names", away)
        patch.setattr("backend.web.serving._AGAIN", 0.2)
        assert serving.predict(7, ["an apple"])[0] == "p7-a1", "the former one stays in service"
        assert "Adapter 1 serves in its place" in caplog.text
        assert Serving(there, BaseModels()).predict(7, ["an apple"])[0] == "p7-a1", "it has a cached copy"
        shutil.rmtree(there.files.adapters(7).folder)
        with pytest.raises(SharedError):
            Serving(there, BaseModels()).predict(7, ["an apple"])
    time.sleep(0.3)
    version, _, second = serving.predict(7, ["an apple"])
    assert version == "p7-a2"
    assert there.projects.get(7).error is None, "an outage is not damage"  # type: ignore[union-attr]
    assert not np.allclose(first["topic/probs"], second["topic/probs"])


def test_adapters_from_before_are_shared_by_the_next_round(url: str, tmp_path: Path, tiny_encoder: Path) -> None:
    alone = Store(tmp_path / "a")
    alone.database.migrate()
    context = Context(store=alone, client=None, models=BaseModels(), bar=no_bar)  # type: ignore[arg-type]
    fill(alone, tiny_encoder, labeled=12, max_steps=12, min_steps=12)
    do(context, "decide", actions=["START_TRAINING"])
    assert do(context, "train", 1) == 1
    assert alone.of(7).rounds.adapter(1).digest is None  # type: ignore[union-attr]
    sharing = Store(tmp_path / "a", None, url)
    context = Context(store=sharing, client=None, models=BaseModels(), bar=no_bar)  # type: ignore[arg-type]
    assert do(context, "train", 1) == 1
    other = Store(tmp_path / "b", f"sqlite:///{tmp_path}/a/state.sqlite3", url)
    assert (other.adapter_folder(7, 1) / "heads.safetensors").exists()


def test_the_doctor_tries_it(stores: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch) -> None:
    found = shared_storage(stores[0])
    assert found.status == "ok", found
    assert not list(stores[0].files.root.glob("doctor-*"))
    assert stores[0].files.shared is not None
    assert not [name for name in stores[0].files.shared.names(stores[0].files.root) if "doctor" in name]
    monkeypatch.setattr(stores[0].files.shared, "_found", (None, "nowhere"))
    assert shared_storage(stores[0]).status == "problem"


def test_a_damaged_copy_of_a_shard_is_fetched_again(hosts: tuple[Files, Files]) -> None:
    hosts[0].scores(1, 1).add([1], {"a": np.array([10.0])})
    copies = hosts[1].scores(1, 1)
    assert copies.take("a", [1]).tolist() == [10]
    next(copies.folder.iterdir()).write_bytes(b"x")
    assert hosts[1].scores(1, 1).found(["a"], [1])[0].tolist() == [False]
    assert hosts[1].scores(1, 1).take("a", [1]).tolist() == [10]

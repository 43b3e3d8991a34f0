"""`lsal migrate-to`: every row arrives, or nothing changes."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from backend.errors import BackendError
from backend.store import Store
from backend.store.finishes import Answer
from backend.store.rounds import Place
from backend.store.sql.database import Database
from backend.store.sql.models import Adapter, Base
from backend.store.sql.moving import move


def rows(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    with database.read() as session:
        return {t.name: sorted(map(repr, session.execute(select(t)))) for t in Base.metadata.sorted_tables}


@pytest.fixture
def embedded(tmp_path: Path) -> Store:
    """A state with rows in every table."""
    store = Store(tmp_path)
    store.database.migrate()
    for project in (3, 7):
        store.projects.connect(project, label_config="<View/>", options={"batch_size": 5}, host="b.local:9090")
        texts = [(i, f"text {i} \N{PILE OF POO}") for i in range(1, 2500)]
        store.of(project).tasks.put_texts(texts, seed=0, audit_share=0.1)
        store.of(project).tasks.put_annotations([(4, {"c": "a"}, True, False), (5, {}, False, True)])
        said = {"id": project, "annotator": 1, "skipped": False, "labels": {"c": "a"}, "seconds": 2.5}
        store.of(project).tasks.put_annotations([], {4: [said]})
        store.of(project).rounds.begin(1, reason="the first")
        store.of(project).rounds.put_queue(1, [Place(1, score=0.1), Place(2, audit=True)])
        store.of(project).rounds.put_adapter(
            Adapter(
                project_id=project, number=1, base_model="minilm", fingerprint="x", targets=[], examples=1,
                created_at=time.time(),
            )
        )  # fmt: skip
        store.of(project).rounds.set(1, state="done")
        store.projects.add_published(project, 1, "p1")
        finish = store.of(project).finishes.request(accuracy=0.95, scope="machine", tolerance=0.0, labels=1)
        assert finish is not None
        store.of(project).finishes.put_sample(finish, [Answer(1, 0.5, {"topic": "x"}, 0, sampled=True)])
        store.of(project).second_opinions.request({4: 2})
        assert store.of(project).llm_usage.reserve("openai:a", 1, None)
    for _ in range(20):
        store.events.add(7, "ANNOTATION_CREATED")
    store.events.forget(7, 17)
    store.workers.beat("worker-1", None)
    for _ in range(3):
        store.audit.add("round", 7, user="ann", origin="192.0.2.1")
    return store


def test_every_row_arrives_and_work_goes_on(embedded: Store, tmp_path: Path, new_database: Callable[[], str]) -> None:
    url = new_database()
    moved = move(tmp_path, url)
    assert (moved["projects"], moved["tasks"], moved["events"]) == (2, 4998, 3)
    now = Store(tmp_path, url)
    before, after = rows(embedded.database), rows(now.database)
    assert before.pop("workers")
    assert after.pop("workers") == []
    assert before == after
    assert all(before.values()), "every table has rows"
    now.events.add(7, "ANNOTATION_CREATED")
    assert now.events.newest() == {7: 21}, "ids of events continue"
    now.audit.add("pause", 7, user="ann", origin="192.0.2.1")
    assert [each.id for each in now.audit.newest(7, 9)] == [4, 3, 2, 1]
    with pytest.raises(BackendError, match=r"holds a state already \(.*projects.*\); name an empty one"):
        move(tmp_path, url)


def test_nothing_is_moved_while_a_round_runs_or_a_worker(
    embedded: Store, tmp_path: Path, new_database: Callable[[], str]
) -> None:
    url = new_database()
    embedded.of(7).rounds.set(1, state="running")
    with pytest.raises(BackendError, match="round 1 of project 7 is under way; start the worker, wait"):
        move(tmp_path, url)
    embedded.of(7).rounds.set(1, state="done")
    with (tmp_path / "worker.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(BackendError, match=r"a worker runs on .*; stop web server and worker first"):
            move(tmp_path, url)
    assert Store(tmp_path, url).projects.all() == []
    assert move(tmp_path, url)["projects"] == 2


def test_a_move_that_fails_on_the_way_leaves_nothing(
    embedded: Store, tmp_path: Path, new_database: Callable[[], str]
) -> None:
    url = new_database()
    with embedded.database.write() as session:  # SQLite keeps numbers that PostgreSQL's integers do not hold
        session.connection().exec_driver_sql("UPDATE rounds SET candidates = 99999999999 WHERE project_id = 7")
    with pytest.raises(BackendError, match="rows of rounds cannot be moved"):
        move(tmp_path, url)
    assert not any(rows(Database(url)).values())


@pytest.mark.parametrize("url", ["sqlite:///elsewhere", "mysql://a:b@c/d", "nonsense"])
def test_other_databases_are_refused(embedded: Store, tmp_path: Path, url: str) -> None:
    with pytest.raises(BackendError, match="expected postgresql://user:password@host:5432/name"):
        move(tmp_path, url)


@pytest.mark.parametrize(
    "url", ["postgresql://u:p@ss:w0rd@db/x", "postgresql://u:p@ss@db:5432/x", "postgresql://u@h:x"]
)
def test_passwords_that_were_not_quoted_are_not_shown(tmp_path: Path, url: str) -> None:
    with pytest.raises(BackendError, match="written as %40 %3A %2F") as told:
        Store(tmp_path, url)
    assert "w0rd" not in str(told.value)
    assert "ss@" not in str(told.value)


def test_an_address_that_nobody_answers_at_is_said_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match=r"name on 127.0.0.1 cannot be opened .*check DATABASE_URL") as told:
        Store(tmp_path, "postgresql://user:very-secret@127.0.0.1:1/name").database.migrate()
    assert "very-secret" not in str(told.value)


def test_a_folder_without_a_state(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="there is no state in"):
        move(tmp_path, "postgresql://user:password@127.0.0.1:1/name")

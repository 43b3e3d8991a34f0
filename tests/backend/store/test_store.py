"""Contract of the store, also for repeated steps and concurrent writers, on SQLite and PostgreSQL."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from alembic import command
from alembic.config import Config
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import inspect

from backend.errors import FencedError
from backend.store import Store
from backend.store.rounds import Place
from backend.store.sql.database import _MIGRATIONS
from backend.store.sql.models import Adapter, Base
from backend.store.texts import digest, held_out, held_out_order


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    url = request.getfixturevalue("new_database")() if request.param == "postgresql" else None
    made = Store(tmp_path / "store", url)
    made.database.migrate()
    yield made
    made.database.close()


def connect(store: Store, project_id: int = 1) -> None:
    store.projects.connect(project_id, label_config="<View/>", options={}, host="b.local:9090")


def put(store: Store, count: int, project_id: int = 1, share: float = 0.0) -> None:
    texts = [(i, f"text {i}") for i in range(1, count + 1)]
    store.of(project_id).tasks.put_texts(texts, seed=0, audit_share=share)


def test_a_store_of_one_class_a_task_asks_label_studio_again(tmp_path: Path) -> None:
    store = Store(tmp_path)
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    with store.database.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.exec_driver_sql(
            "INSERT INTO projects (id, connected, label_config, options, host, webhook_ready, adapter, queue,"
            " adapter_floor, turn, round, event_mark, task_mark, reread, synced_at)"
            " VALUES (1, 1, '', '{}', '', 1, 3, 2, 0, 5, 4, 0, 9, 0, 0)"
        )
        connection.exec_driver_sql("INSERT INTO adapters VALUES (1, 3, 'minilm', 'x', '[\"a\"]', 20, 0.0)")
        connection.exec_driver_sql(
            "INSERT INTO tasks (project_id, id, text, digest, audit, skipped, annotated, label, learned_in)"
            " VALUES (1, 7, 'a text', 1, 0, 0, 1, 'a', 2)"
        )
    store.database.migrate()
    project = store.projects.get(1)
    assert project is not None
    assert (project.adapter, project.adapter_floor, project.reread, project.queue) == (0, 3, True, 2)
    assert project.task_mark == 0, "texts are read again: more than one may belong to a task"
    assert store.rounds.adapters() == []
    assert (store.of(1).tasks.count(), store.of(1).tasks.count_labeled()) == (1, 0)
    store.of(1).tasks.put_annotations([(7, {"c": "a"}, True, False)])
    assert store.of(1).tasks.count_new_labels() == 1


def test_migrations_give_the_tables_of_the_models(store: Store) -> None:
    found = inspect(store.database.engine)
    for table in Base.metadata.sorted_tables:
        assert {c["name"] for c in found.get_columns(table.name)} == {c.name for c in table.columns}


def test_setup_is_news_only_when_something_changed(store: Store) -> None:
    values = {"label_config": "a", "options": {"seed": 1}, "host": "b.local"}
    assert store.projects.connect(1, **values)
    assert not store.projects.connect(1, **values)
    assert store.projects.connect(1, **{**values, "options": {"seed": 2}})
    store.projects.set(1, task_mark=5)
    assert store.projects.connect(1, **{**values, "options": {"ignore_controls": ["remarks"]}})
    project = store.projects.get(1)
    assert project is not None
    assert (project.task_mark, project.reread) == (0, True), "all tasks must be read again"
    store.projects.set(1, connected=False)
    assert store.projects.connect(1, **values)
    assert [p.id for p in store.projects.all()] == [1]


def test_numbers_that_no_project_has(store: Store) -> None:
    connect(store)
    assert [store.projects.get(number) for number in (0, -1, 2, 2**31, 2**63, 10**30)] == [None] * 6
    assert store.of(1).tasks.texts([2**31, 10**17]) == {}
    assert store.of(1).tasks.placed([10**17]) == {}


def test_a_turn_is_taken_once(store: Store) -> None:
    connect(store)
    store.projects.take_turn(1, 1)
    store.projects.take_turn(1, 1)
    project = store.projects.get(1)
    assert project is not None
    assert project.turn == 2


def test_events_of_connected_projects_only(store: Store) -> None:
    store.projects.connect(7, label_config="", options={}, host="")
    assert store.events.note(7, "ANNOTATION_CREATED")
    assert not store.events.note(8, "ANNOTATION_CREATED")
    assert not store.events.note(2**31, "ANNOTATION_CREATED")
    store.projects.set(7, connected=False)
    assert not store.events.note(7, "ANNOTATION_CREATED")
    assert store.events.after(7, 0)[1] == {"ANNOTATION_CREATED"}
    assert store.events.count() == 1


def test_numbers_of_forgotten_events_never_come_again(store: Store) -> None:
    store.events.add(1, "A")
    store.events.add(1, "B")
    mark, actions = store.events.after(1, 0)
    assert actions == {"A", "B"}
    store.events.forget(1, mark)
    store.events.add(1, "C")
    assert store.events.after(1, mark) == (mark + 1, {"C"})
    assert store.events.newest() == {1: mark + 1}
    assert store.events.after(2, 7) == (7, set())


def test_who_was_taken_over_from_writes_nothing_more(store: Store) -> None:
    connect(store)
    connect(store, 2)
    store.of(1).tasks.put_texts([(1, "a text")], seed=0, audit_share=0.0)
    former = store.fenced(store.projects.take_over(1))
    former.projects.set(1, title="by the former")
    former.database.require()
    now = store.fenced(store.projects.take_over(1))
    writes: list[Callable[[], object]] = [
        lambda: former.projects.set(1, title="too late"),
        lambda: former.projects.connect(1, label_config="", options={}, host=""),
        lambda: former.projects.take_turn(1, 1),
        lambda: former.projects.add_published(1, 1, "p1-a1-q1"),
        lambda: former.of(1).tasks.put_texts([(2, "too late")], seed=0, audit_share=0.0),
        lambda: former.of(1).tasks.put_annotations([(1, {"c": "a"}, True, False)]),
        lambda: former.of(1).tasks.learned(1),
        lambda: former.of(1).tasks.keep_only(set()),
        lambda: former.of(1).tasks.put_annotations([], {1: []}),
        lambda: former.events.forget(1, 9),
        lambda: former.of(1).rounds.begin(1, reason="too late"),
        lambda: former.of(1).rounds.set(1, step="train"),
        lambda: former.of(1).rounds.put_queue(1, [Place(1)]),
        lambda: former.of(1).rounds.put_adapter(
            Adapter(project_id=1, number=1, base_model="m", fingerprint="x", targets=[], examples=1, created_at=0.0)
        ),
        former.database.require,
    ]
    for write in writes:
        with pytest.raises(FencedError, match="project 1: another worker has taken this round over"):
            write()
    now.projects.set(1, error="by the one who has it")
    store.projects.set(1, paused=True)  # a person, who holds no fence, may always
    found = store.projects.get(1)
    assert found is not None
    assert (found.title, found.error, found.paused, found.round, found.turn) == (
        "by the former", "by the one who has it", True, 0, 1,
    )  # fmt: skip
    assert (store.of(1).tasks.count(), store.of(1).rounds.all(), store.rounds.adapters()) == (1, [], [])
    store.fenced(store.projects.take_over(2)).projects.set(2, title="another project's is another matter")


def test_one_of_many_who_write_at_once_is_fenced_or_all_is_written(store: Store) -> None:
    """Takeover during writes: earlier writes are kept, later ones raise."""
    connect(store)
    former = store.fenced(store.projects.take_over(1))
    written: list[int] = []

    def write() -> None:
        with contextlib.suppress(FencedError):
            for number in range(1, 2000):
                former.projects.set(1, round=number)
                written.append(number)

    thread = Thread(target=write)
    thread.start()
    while len(written) < 20:
        time.sleep(0.001)
    now = store.fenced(store.projects.take_over(1))
    seen = store.projects.get(1)
    assert seen is not None
    thread.join()
    after = store.projects.get(1)
    assert after is not None
    assert after.round == seen.round == written[-1] < 1999
    now.projects.set(1, round=0)


def test_workers_are_alive_while_they_say_so(store: Store) -> None:
    assert store.workers.newest() is None
    store.workers.beat("one", None)
    store.workers.beat("two", "Label Studio is away")
    newest = store.workers.newest()
    assert newest is not None
    assert (newest[0].executor_id, newest[0].label_studio) == ("two", "Label Studio is away")
    assert 0 <= newest[1] < 5
    assert store.workers.alive(within=30.0) == {"one": socket.gethostname(), "two": socket.gethostname()}
    store.workers.leave("one")
    assert store.workers.alive(within=30.0).keys() == {"two"}
    time.sleep(0.02)
    assert store.workers.alive(within=0.01) == {}


def test_text_of_any_kind_comes_back(store: Store) -> None:
    connect(store)
    texts = ["", "\N{PILE OF POO} and \u4e2d\u6587", "a\nb\tc", "x" * 100_000, "%s :name ? $1 \\ ' \""]
    store.of(1).tasks.put_texts(list(enumerate(texts, 1)), seed=0, audit_share=0.0)
    store.of(1).tasks.put_texts([(9, "a\0b")], seed=0, audit_share=0.0)
    assert [task.text for task in store.of(1).tasks.every()] == [*texts, "a\N{REPLACEMENT CHARACTER}b"]
    store.of(1).tasks.put_annotations([(9, {"c": "\0\N{PILE OF POO}"}, True, False)])
    assert store.of(1).tasks.labels() == [{"c": "\0\N{PILE OF POO}"}]
    store.projects.set(1, title="a\0b", error="c\0")
    store.events.add(1, "a\0b")
    assert store.events.count() == 1
    store.projects.set(1, options={"instructions": "a\0"})
    spans = {"s": [[0, 10**30, "a\0"]]}
    store.of(1).tasks.put_annotations([(9, spans, True, False)])
    assert store.of(1).tasks.labels() == [spans]


def test_events_from_many_threads_are_all_there(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: store.events.add(n % 3 + 1, "X"), range(300)))
    assert store.events.count() == 300


def test_labels_are_new_until_a_round_learned_them(store: Store) -> None:
    put(store, 5)
    store.of(1).tasks.put_annotations(
        [(1, {"c": "a"}, True, False), (2, {"c": "b"}, True, False), (3, {}, False, True)]
    )
    assert store.of(1).tasks.count_labeled() == 2
    assert store.of(1).tasks.count_new_labels() == 2
    assert [t.id for t in store.of(1).tasks.waiting(audit=False)] == [4, 5]
    store.of(1).tasks.learned(1)
    assert store.of(1).tasks.count_new_labels() == 0
    store.of(1).tasks.put_annotations([(1, {}, False, False)])  # the annotation was deleted
    assert [t.id for t in store.of(1).tasks.waiting(audit=False)] == [1, 4, 5]
    store.of(1).tasks.put_annotations([(1, {"c": "b"}, True, False)])
    assert store.of(1).tasks.count_new_labels() == 1


def test_changed_texts_keep_their_labels_and_deleted_tasks_go(store: Store) -> None:
    put(store, 3)
    store.of(1).tasks.put_annotations([(2, {"c": "a"}, True, False)])
    store.of(1).tasks.put_texts([(2, "another text")], seed=0, audit_share=0.0)
    (labeled,) = store.of(1).tasks.labeled(audit=False)
    assert (labeled.text, labeled.values, labeled.digest) == ("another text", {"c": "a"}, digest("another text"))
    assert store.of(1).tasks.keep_only({2, 3}) == 1
    assert store.of(1).tasks.count() == 2


def test_projects_do_not_see_each_other(store: Store) -> None:
    put(store, 3, project_id=1)
    put(store, 5, project_id=2)
    store.of(1).tasks.put_annotations([(1, {"c": "a"}, True, False)])
    assert (store.of(1).tasks.count_labeled(), store.of(2).tasks.count_labeled()) == (1, 0)
    assert len(store.of(2).tasks.every()) == 5


@given(st.integers(0, 2**31 - 1))
def test_held_out_is_a_fair_share_that_depends_on_the_number_alone(seed: int) -> None:
    chosen = [held_out(seed, task_id, 0.1) for task_id in range(4000)]
    assert 400 - 6 * 19 < sum(chosen) < 400 + 6 * 19
    assert chosen == [held_out(seed, task_id, 0.1) for task_id in range(4000)]
    assert all(held_out(seed, task_id, 0.3) for task_id, out in enumerate(chosen) if out), "a larger share only adds"
    assert not any(held_out(seed, task_id, 0.0) for task_id in range(100))


def test_held_out_order_is_random_and_stable(store: Store) -> None:
    put(store, 50)
    tasks = [task.id for task in store.of(1).tasks.every()]
    order = held_out_order(tasks, 3)
    assert order != sorted(order)
    assert order == held_out_order(reversed(tasks), 3)
    assert order != held_out_order(tasks, 4)


@given(st.text())
def test_digests_fit_a_database(text: str) -> None:
    assert -(2**63) <= digest(text) < 2**63


def test_a_round_begins_once_and_the_last_queues_are_kept(store: Store) -> None:
    connect(store)
    for _ in range(2):
        store.of(1).rounds.begin(1, reason="x", labels=3, tasks=9, targets=[])
    store.of(1).rounds.took(1, "train", 1.23456)
    store.of(1).rounds.took(1, "score", 2.0)
    (found,) = store.of(1).rounds.all()
    assert (found.state, found.seconds) == ("running", {"train": 1.235, "score": 2.0})
    for queue in range(1, 8):
        store.of(1).rounds.put_queue(queue, [Place(5, score=0.5), Place(6, audit=True)])
        store.of(1).rounds.put_queue(queue, [Place(5, score=0.5), Place(6, audit=True)])
    assert [(i.task_id, i.audit) for i in store.of(1).rounds.queue(7)] == [(5, False), (6, True)]
    assert store.of(1).rounds.queue(2) == []
    assert len(store.of(1).rounds.queue(3)) == 2


class TestFiles:
    def test_a_folder_appears_whole_or_not_at_all(self, store: Store) -> None:
        path = store.files.adapters(1).path(1)

        def fail(folder: Path) -> None:
            (folder / "half").write_text("x")
            raise OSError("disk full")

        with pytest.raises(OSError, match="disk full"):
            store.files.adapters(1).write(1, fail)
        assert not path.exists()
        assert list(path.parent.iterdir()) == []
        store.files.adapters(1).write(1, lambda folder: _write(folder, "one"))
        store.files.adapters(1).write(1, lambda folder: _write(folder, "two"))
        assert (path / "file").read_text() == "two"

    def test_pruning_keeps_what_is_asked_for(self, store: Store) -> None:
        for number in (1, 2, 3):
            store.files.adapters(1).write(number, lambda folder: _write(folder, "x"))
            store.files.scores(1, number).add([1], {"a": np.zeros(1)})
        (store.files.adapters(1).folder / ".9.left-by-a-killed-process").mkdir()
        folder = store.files.scores(1, 3).folder
        (folder / ".000001-ab.safetensors.left").touch()
        store.files.prune(1, keep={2, 3})
        assert sorted(p.name for p in store.files.adapters(1).folder.iterdir()) == ["2", "3"]
        assert sorted(p.name for p in folder.parent.iterdir()) == ["2", "3"]
        assert len(store.files.scores(1, 3)) == len(list(folder.iterdir())) == 1
        store.files.prune(99, keep=set())

    def test_names_of_base_models_cannot_leave_the_folder(self, store: Store) -> None:
        path = store.files.embeddings(1, "../../etc/x").folder
        assert path.parent == store.files.root / "projects" / "1" / "embeddings"


def _write(folder: Path, text: str) -> None:
    (folder / "file").write_text(text)


def test_an_annotation_that_moved_to_another_task_is_there_once(store: Store) -> None:
    said = {"annotator": 1, "skipped": False, "labels": {"c": "a"}, "seconds": 5.0}
    store.of(1).tasks.put_annotations([], {10: [{"id": 3, **said}], 11: [{"id": 4, **said}]})
    store.of(2).tasks.put_annotations([], {10: [{"id": 3, **said}]})
    store.of(1).tasks.put_annotations([], {5: [{"id": 3, **said}]})
    assert [(each.id, each.task_id) for each in store.of(1).annotations.all()] == [(3, 5), (4, 11)]
    store.of(1).tasks.put_annotations([], {5: []})
    assert [each.id for each in store.of(1).annotations.all()] == [4]
    assert len(store.of(2).annotations.all()) == 1

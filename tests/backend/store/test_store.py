"""The store: what every part of it promises, also when a step is repeated or two threads write at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from alembic import command
from alembic.config import Config
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import inspect

from backend.store import Store
from backend.store.database import _MIGRATIONS
from backend.store.models import Base
from backend.store.rounds import Place
from backend.store.tasks import digest, held_out, held_out_order


def connect(store: Store, project_id: int = 1) -> None:
    store.projects.connect(project_id, label_config="<View/>", options={}, host="b.local:9090")


def put(store: Store, count: int, project_id: int = 1, share: float = 0.0) -> None:
    texts = [(i, f"text {i}") for i in range(1, count + 1)]
    store.tasks.put_texts(project_id, texts, seed=0, audit_share=share)


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
    assert (store.tasks.count(1), store.tasks.count_labeled(1)) == (1, 0)
    store.tasks.put_annotations(1, [(7, {"c": "a"}, True, False)])
    assert store.tasks.count_new_labels(1) == 1


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
    assert (project.task_mark, project.reread) == (0, True), "there is less to read of every task"
    store.projects.set(1, connected=False)
    assert store.projects.connect(1, **values)
    assert [p.id for p in store.projects.all()] == [1]


def test_a_turn_is_taken_once(store: Store) -> None:
    connect(store)
    store.projects.take_turn(1, 1)
    store.projects.take_turn(1, 1)
    project = store.projects.get(1)
    assert project is not None
    assert project.turn == 2


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


def test_events_from_many_threads_are_all_there(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: store.events.add(n % 3 + 1, "X"), range(300)))
    assert store.events.count() == 300


def test_labels_are_new_until_a_round_learned_them(store: Store) -> None:
    put(store, 5)
    store.tasks.put_annotations(1, [(1, {"c": "a"}, True, False), (2, {"c": "b"}, True, False), (3, {}, False, True)])
    assert store.tasks.count_labeled(1) == 2
    assert store.tasks.count_new_labels(1) == 2
    assert [t.id for t in store.tasks.waiting(1, audit=False)] == [4, 5]
    store.tasks.learned(1, 1)
    assert store.tasks.count_new_labels(1) == 0
    store.tasks.put_annotations(1, [(1, {}, False, False)])  # the annotation was deleted
    assert [t.id for t in store.tasks.waiting(1, audit=False)] == [1, 4, 5]
    store.tasks.put_annotations(1, [(1, {"c": "b"}, True, False)])
    assert store.tasks.count_new_labels(1) == 1


def test_changed_texts_keep_their_labels_and_deleted_tasks_go(store: Store) -> None:
    put(store, 3)
    store.tasks.put_annotations(1, [(2, {"c": "a"}, True, False)])
    store.tasks.put_texts(1, [(2, "another text")], seed=0, audit_share=0.0)
    (labeled,) = store.tasks.labeled(1, audit=False)
    assert (labeled.text, labeled.values, labeled.digest) == ("another text", {"c": "a"}, digest("another text"))
    assert store.tasks.keep_only(1, {2, 3}) == 1
    assert store.tasks.count(1) == 2


def test_projects_do_not_see_each_other(store: Store) -> None:
    put(store, 3, project_id=1)
    put(store, 5, project_id=2)
    store.tasks.put_annotations(1, [(1, {"c": "a"}, True, False)])
    assert (store.tasks.count_labeled(1), store.tasks.count_labeled(2)) == (1, 0)
    assert len(store.tasks.every(2)) == 5


@given(st.integers(0, 2**31 - 1))
def test_held_out_is_a_fair_share_that_depends_on_the_number_alone(seed: int) -> None:
    chosen = [held_out(seed, task_id, 0.1) for task_id in range(4000)]
    assert 400 - 6 * 19 < sum(chosen) < 400 + 6 * 19
    assert chosen == [held_out(seed, task_id, 0.1) for task_id in range(4000)]
    assert all(held_out(seed, task_id, 0.3) for task_id, out in enumerate(chosen) if out), "a larger share only adds"
    assert not any(held_out(seed, task_id, 0.0) for task_id in range(100))


def test_held_out_order_is_random_and_stable(store: Store) -> None:
    put(store, 50)
    tasks = store.tasks.every(1)
    order = [t.id for t in held_out_order(tasks, 3)]
    assert order != sorted(order)
    assert order == [t.id for t in held_out_order(reversed(tasks), 3)]
    assert order != [t.id for t in held_out_order(tasks, 4)]


@given(st.text())
def test_digests_fit_a_database(text: str) -> None:
    assert -(2**63) <= digest(text) < 2**63


def test_a_round_begins_once_and_the_last_queues_are_kept(store: Store) -> None:
    connect(store)
    for _ in range(2):
        store.rounds.begin(1, 1, reason="x", labels=3, tasks=9, targets=[])
    store.rounds.took(1, 1, "train", 1.23456)
    store.rounds.took(1, 1, "score", 2.0)
    (found,) = store.rounds.all(1)
    assert (found.state, found.seconds) == ("running", {"train": 1.235, "score": 2.0})
    for queue in range(1, 8):
        store.rounds.put_queue(1, queue, [Place(5, score=0.5), Place(6, audit=True)])
        store.rounds.put_queue(1, queue, [Place(5, score=0.5), Place(6, audit=True)])
    assert [(i.task_id, i.audit) for i in store.rounds.queue(1, 7)] == [(5, False), (6, True)]
    assert store.rounds.queue(1, 2) == []
    assert len(store.rounds.queue(1, 3)) == 2


class TestFiles:
    def test_a_folder_appears_whole_or_not_at_all(self, store: Store) -> None:
        path = store.files.adapter(1, 1)

        def fail(folder: Path) -> None:
            (folder / "half").write_text("x")
            raise OSError("disk full")

        with pytest.raises(OSError, match="disk full"):
            store.files.write_folder(path, fail)
        assert not path.exists()
        assert list(path.parent.iterdir()) == []
        store.files.write_folder(path, lambda folder: _write(folder, "one"))
        store.files.write_folder(path, lambda folder: _write(folder, "two"))
        assert (path / "file").read_text() == "two"

    def test_arrays_come_back_as_they_were(self, store: Store) -> None:
        path = store.files.scores(1, 1)
        assert store.files.read_arrays(path) is None
        arrays = {"digests": np.array([-5, 7]), "probs": np.eye(2, dtype=np.float32)}
        store.files.write_arrays(path, arrays)
        found = store.files.read_arrays(path)
        assert found is not None
        for name, array in arrays.items():
            np.testing.assert_array_equal(found[name], array)
        assert set(store.files.read_arrays(path, {"probs"}) or ()) == {"probs"}

    def test_pruning_keeps_what_is_asked_for(self, store: Store) -> None:
        for number in (1, 2, 3):
            store.files.write_folder(store.files.adapter(1, number), lambda folder: _write(folder, "x"))
            store.files.write_arrays(store.files.scores(1, number), {"a": np.zeros(1)})
        (store.files.adapter(1, 3).parent / ".9.left-by-a-killed-process").mkdir()
        store.files.prune(1, keep={2, 3})
        assert sorted(p.name for p in store.files.adapter(1, 3).parent.iterdir()) == ["2", "3"]
        assert sorted(p.name for p in store.files.scores(1, 3).parent.iterdir()) == ["2.safetensors", "3.safetensors"]
        store.files.prune(99, keep=set())

    def test_names_of_base_models_cannot_leave_the_folder(self, store: Store) -> None:
        path = store.files.embeddings(1, "../../etc/x")
        assert path.parent == store.files.root / "projects" / "1" / "embeddings"


def _write(folder: Path, text: str) -> None:
    (folder / "file").write_text(text)


def test_an_annotation_that_moved_to_another_task_is_there_once(store: Store) -> None:
    said = {"annotator": 1, "skipped": False, "labels": {"c": "a"}, "seconds": 5.0}
    store.annotations.put(1, {10: [{"id": 3, **said}], 11: [{"id": 4, **said}]})
    store.annotations.put(2, {10: [{"id": 3, **said}]})
    store.annotations.put(1, {5: [{"id": 3, **said}]})
    assert [(each.id, each.task_id) for each in store.annotations.all(1)] == [(3, 5), (4, 11)]
    store.annotations.put(1, {5: []})
    assert [each.id for each in store.annotations.all(1)] == [4]
    assert len(store.annotations.all(2)) == 1

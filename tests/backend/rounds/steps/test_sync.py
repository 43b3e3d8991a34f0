"""Sync against a Label Studio in memory that changes while it is being read, as the real one does."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.errors import CancelledError, LabelStudioError
from backend.labelstudio.api.responses import AnnotatedTask, ConnectedBackend
from backend.labelstudio.label_config.parse import parse
from backend.learners.models.cache import BaseModels
from backend.rounds.connection.reconcile import reconcile
from backend.rounds.context import Context, spec_of
from backend.rounds.engine.notifier import due
from backend.rounds.steps.sync import sync
from backend.store import Store
from backend.store.rounds import Place
from backend.targets import sides
from tests.backend.played import project_of
from tests.backend.rounds.memory import START, Memory
from tests.backend.steps import do, opened
from tests.backend.web.test_ml import CONFIG

KEYS = st.sampled_from(["value", "choices", "type", "from_name", "text", "start", "labels", "number"])


@contextlib.contextmanager
def _no_bar(title: str) -> Any:
    yield lambda done, total: None


@pytest.fixture
def there() -> Memory:
    return Memory()


@pytest.fixture
def look(store: Store, there: Memory) -> Callable[[], None]:
    context = Context(store=store, client=there, models=BaseModels(), bar=_no_bar)  # type: ignore[arg-type]
    store.projects.connect(7, label_config=CONFIG, options={"audit_share": 0}, host="b.local:9090")
    return lambda: sync(opened(context, ["ANNOTATION_CREATED"]))


def labels(store: Store) -> dict[int, str]:
    return {e.id: e.values["topic"] for e in store.of(7).tasks.labeled(audit=False)}


def test_what_changes_on_a_page_already_read_is_read_next_time(
    store: Store, there: Memory, look: Callable[[], None]
) -> None:
    for i in range(1, 6):
        there.put(i, "fruit")
    look()
    there.clock += timedelta(hours=1)
    for i in (1, 5):
        there.put(i, "tool")

    def meanwhile() -> None:  # half a minute passes between pages, people go on
        there.between = lambda: None
        there.clock += timedelta(seconds=30)
        there.put(1, "animal")
        there.clock += timedelta(seconds=30)
        there.put(5, "animal")

    there.between = meanwhile
    look()
    look()
    assert labels(store) == {1: "animal", 2: "fruit", 3: "fruit", 4: "fruit", 5: "animal"}


def test_new_changed_and_deleted(store: Store, there: Memory, look: Callable[[], None]) -> None:
    for i in range(1, 6):
        there.put(i)
    look()
    assert store.of(7).tasks.count() == 5
    assert there.listings == 0, "listing all tasks is slow and not called for"
    there.put(2, "fruit")
    there.put(3, text="another text")
    there.put(9, "tool")
    del there.tasks[4]
    look()
    assert labels(store) == {2: "fruit", 9: "tool"}
    assert {t.id: t.text for t in store.of(7).tasks.every()} == {1: "t1", 2: "t2", 3: "another text", 5: "t5", 9: "t9"}
    there.put(2)  # the annotation was deleted
    look()
    assert labels(store) == {9: "tool"}


def test_tasks_committed_behind_the_mark_are_found(store: Store, there: Memory, look: Callable[[], None]) -> None:
    for i in (1, 2, 8, 9):
        there.put(i)
    look()
    for i in (4, 5):
        there.tasks[i] = ({"text": f"t{i}"}, "fruit", START)  # a slow import: low numbers, old times, late to appear
    look()
    look()
    assert store.of(7).tasks.count() == 6
    assert labels(store) == {4: "fruit", 5: "fruit"}


def test_another_field_is_read_again_even_if_setup_told_of_it_first(
    store: Store, there: Memory, look: Callable[[], None]
) -> None:
    there.put(1, "fruit", text="old", body="new")
    there.put(2, text="old", body="new")
    look()
    there.clock += timedelta(hours=1)
    there.config = CONFIG.replace("$text", "$body")
    store.projects.connect(7, label_config=there.config, options={"audit_share": 0}, host="b.local:9090")
    look()
    assert [t.text for t in store.of(7).tasks.every()] == ["new", "new"]
    assert labels(store) == {1: "fruit"}


def test_texts_are_read_again_when_they_are_compared_or_turned_round(
    store: Store, there: Memory, look: Callable[[], None]
) -> None:
    there.put(1, text="one", other="two")
    config = CONFIG.replace("<Text ", '<Text name="u" value="$other"/><Text ', 1)
    name = parse(config).inputs[1].name
    for compared, parts in (("", None), (f"u,{name}", ("", "two", "one")), (f"{name},u", ("", "one", "two"))):
        there.config = config
        if compared:
            there.config = config.replace("</View>", f'<Pairwise name="p" toName="{compared}"/></View>')
        look()
        (task,) = store.of(7).tasks.every()
        assert parts is None or sides(task.text) == parts


def test_tasks_outside_of_the_option_only_are_known_but_not_queued(
    store: Store, there: Memory, look: Callable[[], None]
) -> None:
    for number, lang in enumerate(["en", "de", "en", "fr", "de"], 1):
        there.put(number, "fruit" if number == 5 else None, text=f"t{number}", lang=lang)
    tasks = store.of(7).tasks

    def waiting(**options: Any) -> list[int]:
        store.projects.connect(7, label_config=CONFIG, options={"audit_share": 0, **options}, host="b.local:9090")
        look()
        assert labels(store) == {5: "fruit"}, "labels are learned from all the same"
        return tasks.listed_waiting(audit=False).ids.tolist()

    assert waiting() == [1, 2, 3, 4]
    assert waiting(only={"lang": "en"}) == [1, 3]
    assert (tasks.count_outside(), tasks.count_open_tasks(), len(tasks.remaining())) == (2, 2, 2)
    assert waiting(only={"lang": ["en", "fr"]}) == [1, 3, 4]
    there.put(3, text="t3", lang="de")
    look()
    assert tasks.listed_waiting(audit=False).ids.tolist() == [1, 4], "its data changed"
    assert waiting() == [1, 2, 3, 4]


def test_what_was_left_out_during_a_sync_is_read_by_the_next(
    store: Store, there: Memory, look: Callable[[], None]
) -> None:
    there.put(1, "fruit")

    def meanwhile() -> None:
        there.between = lambda: None
        store.projects.connect(
            7, label_config=CONFIG, options={"audit_share": 0, "ignore_controls": ["remarks"]}, host="b.local:9090"
        )

    there.between = meanwhile
    look()
    project = store.projects.get(7)
    assert project is not None
    assert (project.task_mark, project.reread) == (0, True)
    look()
    assert labels(store) == {1: "fruit"}


def test_ground_truth_is_kept_apart_if_it_is_to_measure(
    store: Store, there: Memory, look: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    there.put(1, "fruit")
    there.put(2, "tool")
    real = there.annotated_tasks

    def marked(project_id: int, up_to: int) -> Iterator[list[AnnotatedTask]]:
        for page in real(project_id, up_to):
            yield [each._replace(annotations=[{**a, "ground_truth": each.id == 2} for a in each.annotations])
                   for each in page]  # fmt: skip

    monkeypatch.setattr(there, "annotated_tasks", marked)
    look()
    assert labels(store) == {1: "fruit", 2: "tool"}
    assert store.of(7).tasks.truths() == []
    options = {"audit_share": 0, "ground_truth": "measure"}
    store.projects.connect(7, label_config=CONFIG, options=options, host="b.local:9090")
    look()
    assert labels(store) == {1: "fruit"}
    assert [example.id for example in store.of(7).tasks.truths()] == [2]
    store.of(7).tasks.forget_annotations([2])
    assert store.of(7).tasks.truths() == []


def test_a_connection_removed_in_label_studio_is_noticed(
    store: Store, there: Memory, look: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    there.put(1)
    monkeypatch.setattr(there, "backends", lambda project_id: [])
    look()
    assert store.projects.all() == []


def test_a_project_that_was_let_go_by_mistake_is_taken_up_again(
    store: Store, there: Memory, look: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """LABEL_STUDIO_URL named another Label Studio for a while."""
    there.put(1)
    look()
    steps_of = Context(store=store, client=there, models=BaseModels(), bar=_no_bar)  # type: ignore[arg-type]

    def turn() -> None:
        found = store.projects.get(7)
        assert found is not None
        events = do(steps_of, "begin", turn=found.turn)
        do(steps_of, "sync", events=events)
        do(steps_of, "decide", events=events)

    store.projects.set(7, webhook_ready=False)
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(there, "backends", lambda project_id: [])
        there.put(2)
        turn()
        assert store.projects.all() == []
        assert store.of(7).tasks.count() == 1, "it is not read"
        del there.tasks[2]
        now = time.time()
        assert due(store, now, 60.0) == []
        assert due(store, now + 4000.0, 60.0) != []
        turn()
        assert store.projects.all() == []
    with monkeypatch.context() as other:
        theirs = ConnectedBackend(2, "http://other:9090", "them", None, {})
        other.setattr(there, "backends", lambda project_id: [theirs])
        turn()
        assert store.projects.all() == [], "it is another one's"
    store.of(7).tasks.put_texts([(1, "what the other Label Studio has there")], seed=0, audit_share=0.0)
    turn()
    (found,) = store.projects.all()
    assert (found.id, found.webhook_ready) == (7, True)
    assert [task.text for task in store.of(7).tasks.every()] == ["t1"]


def test_a_queue_that_somebody_switched_off_comes_back(store: Store, there: Memory, look: Callable[[], None]) -> None:
    there.put(1)
    store.projects.add_published(7, 3, "p7-a1-q3")
    store.projects.set(7, queue=3)
    store.of(7).rounds.put_queue(3, [Place(1, score=0.5)])
    there.existing = {"p7-a1-q3"}
    look()
    assert there.queue == ("Uncertainty sampling", "p7-a1-q3")

    there.existing, there.queue = set(), ("Sequential sampling", "")
    store.projects.set(7, webhook_ready=False)  # so that the connection is looked at again
    look()
    assert store.of(7).rounds.queue(3) == [], "its predictions are gone, so that a new queue is due"


def test_what_cannot_be_learned_is_put_aside_and_named(
    store: Store, there: Memory, look: Callable[[], None], caplog: pytest.LogCaptureFixture
) -> None:
    for number, label in enumerate(
        ("fruit", {"choices": 5}, {"choices": [["a"]]}, {"choices": ["fruit", "tool"]}, 10**400, "tool"), 1
    ):
        there.put(number, label)
    there.put(7, "fruit", text=" ", other="field")
    look()
    assert labels(store) == {1: "fruit", 6: "tool"}, "everything else goes on"
    assert "1 labels of 'topic' are not learned from (unreadable); the first is of task 2" in caplog.text
    found = {each.task_id: each.unusable for each in store.of(7).annotations.all() if each.unusable}
    assert found == {2: {"topic": "unreadable"}, 3: {"topic": "unreadable"}, 4: {"topic": "several"},
                     5: {"topic": "unreadable"}}  # fmt: skip
    assert store.projects.get(7).unread == {"task": 7, "fields": ["text", "other"]}
    assert store.of(7).tasks.without_text() == [7]
    assert 7 not in store.of(7).tasks.listed_waiting(audit=False).ids


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(result=st.lists(JSON | st.fixed_dictionaries({
    "from_name": st.just("topic"), "type": st.just("choices"), "value": JSON | st.fixed_dictionaries({"choices": JSON})
}), min_size=1, max_size=3), text=JSON)  # fmt: skip
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
def test_whatever_was_stored_keeps_nothing_else_from_being_learned(
    store: Store, there: Memory, look: Callable[[], None], result: list[Any], text: Any
) -> None:
    there.put(1, "fruit")
    there.put(2, result)
    there.put(3, "tool", text=text)
    look()
    found = labels(store)
    assert found[1] == "fruit"
    assert isinstance(found.get(2), str | None)
    context = Context(store=store, client=there, models=BaseModels(), bar=_no_bar)  # type: ignore[arg-type]
    assert reconcile(opened(context)) == ""


def test_annotations_that_came_without_a_mark_are_found_by_their_count(
    store: Store, there: Memory, look: Callable[[], None]
) -> None:
    """As in a bulk import: the tasks first, their annotations later, and nothing moves `updated_at`."""
    for i in range(1, 5):
        there.put(i)
    look()
    there.clock += timedelta(minutes=5)
    there.put(5, "fruit")
    look()
    for i in (2, 3):
        data, _, time = there.tasks[i]
        there.tasks[i] = (data, "tool", time)
    look()
    assert labels(store) == {5: "fruit"}, "the race that this is about"
    for _ in range(3):
        look()
    assert labels(store) == {2: "tool", 3: "tool", 5: "fruit"}
    project = store.projects.get(7)
    assert project is not None
    assert project.reread is False


def test_annotations_that_label_studio_does_not_count_are_found(
    store: Store, there: Memory, look: Callable[[], None]
) -> None:
    """On SQLite and a busy machine, it sometimes leaves the counts of an import at 0."""
    there.uncounted = {2, 3}
    for i in range(1, 5):
        there.put(i, "fruit")
    look()
    assert labels(store) == {1: "fruit", 4: "fruit"}
    for _ in range(3):
        look()
    assert labels(store) == dict.fromkeys(range(1, 5), "fruit")
    look()
    assert project_of(store).miscount == {"accepted": 0}, "not for ever"


def test_labels_that_label_studio_no_longer_counts_are_read_again(
    store: Store, there: Memory, look: Callable[[], None], caplog: pytest.LogCaptureFixture
) -> None:
    """The log has the two counts, never a negative difference."""
    for i in range(1, 5):
        there.put(i, "fruit")
    look()
    there.clock += timedelta(minutes=5)
    there.put(5, "tool")
    look()
    for i in (2, 3):
        data, _, time = there.tasks[i]
        there.tasks[i] = (data, None, time)
    for _ in range(3):
        look()
    assert "project 7: Label Studio counts 3 annotated tasks, 5 were read; all are read again" in caplog.text
    assert "-2" not in caplog.text


@pytest.mark.parametrize(
    ("there_is", "in_force", "expected"),
    [
        ({"p7-a3-q5"}, "p7-a3-q5", (3, 5, 6)),  # the last commits are lost
        ({"p7-a1-q2", "p7-a3-q5"}, "p7-a1-q2", (3, 2, 6)),  # and it was not in force yet
        ({"p7-a1-q1", "p7-a1-q2"}, "p7-a1-q2", (0, 2, 3)),  # older ones of another backend are none of these
        ({"p7-a3", "theirs"}, "theirs", (0, 2, 3)),
    ],
)
def test_a_database_that_is_older_than_label_studio_goes_on_with_higher_numbers(
    store: Store, there: Memory, look: Callable[[], None], there_is: set[str], in_force: str, expected: tuple[int, ...]
) -> None:
    look()
    store.projects.set(7, queue=2)
    store.projects.add_published(7, 2, "p7-a1-q2")
    there.existing, there.queue = there_is, ("Uncertainty sampling", in_force)
    context = Context(store=store, client=there, models=BaseModels(), bar=_no_bar)  # type: ignore[arg-type]
    sync(opened(context, ["ANNOTATION_CREATED"]))
    project = project_of(store)
    assert (project.adapter_floor, project.queue, store.projects.next_queue(7)) == expected


def test_a_difference_that_stays_is_not_read_for_ever(
    store: Store, there: Memory, look: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tasks with ground truth only are not among those that Label Studio counts."""
    for i in range(1, 5):
        there.put(i, "fruit")
    real, rereads = there.project, []
    monkeypatch.setattr(there, "project", lambda number: real(number)._replace(annotated=2))
    whole = there.annotated_tasks
    monkeypatch.setattr(there, "annotated_tasks", lambda *a: (rereads.append(1), whole(*a))[1])
    for _ in range(12):
        look()
    assert len(rereads) == 2, "when the tasks were new, and once more for the count"


def test_annotations_that_were_deleted_while_an_older_state_came_back_are_forgotten(
    store: Store, there: Memory, look: Callable[[], None]
) -> None:
    for i in range(1, 5):
        there.put(i, "fruit")
    look()
    there.put(3)  # its annotation is deleted
    store.database.migrate(restored=True)  # a state in which it is there
    look()
    look()
    assert labels(store) == {1: "fruit", 2: "fruit", 4: "fruit"}


def test_a_strategy_chosen_on_the_dashboard_does_not_outlive_the_labels_it_works_with(
    store: Store, there: Memory, look: Callable[[], None]
) -> None:
    store.projects.set(7, chosen_strategy="margin")
    look()
    found = store.projects.get(7)
    assert found is not None
    assert (found.chosen_strategy, found.title) == ("margin", "A project")
    there.config = '<View><Text name="text" value="$text"/><Number name="price" toName="text"/></View>'
    look()
    found = store.projects.get(7)
    assert found is not None
    assert (found.chosen_strategy, found.label_config) == (None, there.config)


def test_a_project_from_before_learns_one_leaf_until_it_is_switched(
    store: Store, there: Memory, look: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = '<Choice value="A"><Choice value="B"/></Choice><Choice value="C"/>'
    there.config = f'<View><Text name="text" value="$text"/><Taxonomy name="t" toName="text">{tree}</Taxonomy></View>'
    chosen = {1: [["A", "B"]], 2: [["A"]], 3: [["A", "B"], ["C"]]}
    for task in chosen:
        there.put(task, "fruit")
    real = there.annotated_tasks

    def in_a_tree(project_id: int, up_to: int) -> Iterator[list[AnnotatedTask]]:
        for page in real(project_id, up_to):
            yield [
                each._replace(annotations=[{
                    **annotation, "result": [
                        {"from_name": "t", "type": "taxonomy", "value": {"taxonomy": chosen[each.id]}}
                    ],
                } for annotation in each.annotations])
                for each in page
            ]  # fmt: skip

    monkeypatch.setattr(there, "annotated_tasks", in_a_tree)

    def learned() -> dict[int, Any]:
        return {each.id: each.values["t"] for each in store.of(7).tasks.labeled(audit=False)}

    store.projects.set(7, taxonomy="leaf")
    look()
    assert learned() == {1: "A / B", 2: "A"}
    assert not spec_of(project_of(store)).targets[0].offers("A"), "it is listed under what is not learned from"
    options = {"audit_share": 0, "taxonomy": "nodes"}
    store.projects.connect(7, label_config=there.config, options=options, host="b.local:9090")
    look()
    assert learned() == {1: ["A", "A / B"], 2: ["A"], 3: ["A", "A / B", "C"]}


def is_unknown(there: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_: int) -> Any:
        raise LabelStudioError("it does not exist", 404)

    for name in ("project", "backends"):
        monkeypatch.setattr(there, name, unknown)
    monkeypatch.setattr(there, "exists", lambda _: False, raising=False)


def test_a_project_that_label_studio_never_knew_is_forgotten(
    store: Store, there: Memory, look: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    is_unknown(there, monkeypatch)
    look()
    project = store.projects.get(7)
    assert project is not None
    assert not project.connected
    assert due(store, time.time(), 60.0) == []
    assert len(due(store, time.time() + 3601.0, 60.0)) == 1
    with pytest.raises(CancelledError, match="nothing is kept of it"):  # an hour later
        look()
    assert store.projects.get(7) is None


def test_one_that_it_knew_is_kept(
    store: Store, there: Memory, look: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    there.put(1, "fruit")
    look()

    is_unknown(there, monkeypatch)
    look()
    look()
    assert labels(store) == {1: "fruit"}

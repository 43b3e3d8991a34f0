"""The parts of a round that need no Label Studio: when one is due, what is selected, how good the model is."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import BackendError
from backend.evaluation.measures import wilson
from backend.rounds.context import Context
from backend.rounds.engine.notifier import due
from backend.rounds.steps.publish import predictions
from backend.rounds.steps.select import interleave
from backend.store import Store
from tests.backend.steps import do, fail, opened, reason
from tests.backend.steps import play as run
from tests.backend.web.test_ml import CONFIG
from tests.conftest import CLASSES, labeled_sentences

OPTIONS = {
    "batch_size": 4, "queue_size": 6, "min_steps": 60, "epochs": 1, "learning_rate": 5e-3, "max_length": 32,
    "cold_start_per_class": 0,
}  # fmt: skip


def fill(store: Store, tiny: Path, count: int = 40, labeled: int = 0, **options: Any) -> None:
    merged = {**OPTIONS, "base_model": str(tiny), **options}
    store.projects.connect(7, label_config=CONFIG, options=merged, host="b.local")
    data = labeled_sentences(count)
    share = merged.get("audit_share", 0.1)
    store.of(7).tasks.put_texts([(i, text) for i, (text, _) in enumerate(data, 1)], seed=0, audit_share=share)
    store.of(7).tasks.put_annotations(
        [(i, {"topic": label}, True, False) for i, (_, label) in enumerate(data[:labeled], 1)]
    )


class TestReasons:
    def test_the_first_queue_is_due_at_once_and_then_nothing(
        self, context: Context, store: Store, tiny_encoder: Path
    ) -> None:
        fill(store, tiny_encoder)
        assert reason(context) == "there is no queue yet"
        run(context, 1)
        assert reason(context, {"ANNOTATION_CREATED"}) is None

    def test_an_empty_project_waits(self, context: Context, store: Store, tiny_encoder: Path) -> None:
        fill(store, tiny_encoder, count=0)
        assert reason(context) is None

    def test_a_batch_of_labels(self, context: Context, store: Store, tiny_encoder: Path) -> None:
        fill(store, tiny_encoder)
        run(context, 1)
        outside = [
            t.id for t in store.of(7).tasks.every() if t.id not in {i.task_id for i in store.of(7).rounds.queue(1)}
        ]
        store.of(7).tasks.put_annotations([(i, "fruit", True, False) for i in outside[:3]])
        assert reason(context) is None
        store.of(7).tasks.put_annotations([(outside[3], "tool", True, False)])
        assert reason(context) == "4 newly labeled tasks"

    def test_training_on_submission_is_no_press_of_the_button(
        self, context: Context, store: Store, tiny_encoder: Path
    ) -> None:
        fill(store, tiny_encoder)
        run(context, 1)
        store.events.add(7, "START_TRAINING")
        store.events.add(7, "ANNOTATION_CREATED")
        assert reason(context, {"START_TRAINING"}) == "Start training was pressed"
        store.projects.set(7, trains_on_submission=True, webhook_ready=True)
        assert reason(context, {"START_TRAINING"}) is None
        store.events.add(7, "START_TRAINING")
        assert reason(context, {"START_TRAINING"}) == "Start training was pressed", "after the submission"
        store.events.withdraw(7, ["ANNOTATION_CREATED"])
        store.projects.set(7, webhook_ready=False)
        assert reason(context, {"START_TRAINING"}) is None, "no event can follow"
        store.projects.set(7, webhook_ready=True)
        assert reason(context, {"START_TRAINING"}) == "Start training was pressed"

    def test_a_queue_running_dry_by_skips(self, context: Context, store: Store, tiny_encoder: Path) -> None:
        fill(store, tiny_encoder)
        run(context, 1)
        queue = [i.task_id for i in store.of(7).rounds.queue(1)]
        store.of(7).tasks.put_annotations([(i, None, False, True) for i in queue[:4]])
        assert reason(context) is None
        store.of(7).tasks.put_annotations([(queue[4], None, False, True)])
        assert reason(context) == "the queue runs low (1 left)"
        store.projects.set(7, options={**OPTIONS, "manage_queue": False})
        store.of(7).rounds.set(1, options={**OPTIONS, "manage_queue": False})
        assert reason(context) is None

    def test_new_tasks_and_changed_choices(self, context: Context, store: Store, tiny_encoder: Path) -> None:
        fill(store, tiny_encoder)
        run(context, 1)
        store.of(7).tasks.put_texts([(99, "a new text")], seed=0, audit_share=0.0)
        assert reason(context) == "new tasks"
        run(context, 2)
        assert reason(context) is None
        store.projects.set(7, label_config=CONFIG.replace("fruit", "berry"))
        assert reason(context) == "the choices in the label config changed"

    def test_a_project_that_left_is_let_alone(self, context: Context, store: Store, tiny_encoder: Path) -> None:
        fill(store, tiny_encoder)
        store.projects.set(7, connected=False)
        assert reason(context, {"START_TRAINING"}) is None

    def test_a_failed_round_is_tried_again_after_a_pause(
        self, context: Context, store: Store, tiny_encoder: Path
    ) -> None:
        fill(store, tiny_encoder)
        run(context, 1)
        assert do(context, "decide", actions=["START_TRAINING"]) == 2
        fail(context, 2, "Label Studio is away")
        assert reason(context) is None
        store.of(7).rounds.set(2, finished_at=0.0)
        assert reason(context) == "round 2 failed, so it is tried again"

    def test_a_queue_shorter_than_a_batch_is_not_built_again_at_once(
        self, context: Context, store: Store, tiny_encoder: Path
    ) -> None:
        fill(store, tiny_encoder, batch_size=20, queue_size=3)
        run(context, 1)
        assert reason(context) is None

    def test_held_out_tasks_fill_what_candidates_cannot(
        self, context: Context, store: Store, tiny_encoder: Path
    ) -> None:
        fill(store, tiny_encoder, audit_share=0.5)
        candidates = store.of(7).tasks.waiting(audit=False)
        store.of(7).tasks.put_annotations([(t.id, None, False, True) for t in candidates[2:]])
        run(context, 1)
        assert sorted(item.audit for item in store.of(7).rounds.queue(1)) == [False, False, True, True, True, True]


class TestRound:
    def test_held_out_tasks_are_never_trained_on_nor_selected(
        self, context: Context, store: Store, tiny_encoder: Path
    ) -> None:
        fill(store, tiny_encoder, count=90, labeled=40, audit_share=0.3)
        assert run(context, 1) == 1
        held_out = {e.id for e in store.of(7).tasks.labeled(audit=True)}
        adapter = store.of(7).rounds.adapter(1)
        assert adapter is not None
        assert adapter.examples == 40 - len(held_out)
        items = store.of(7).rounds.queue(1)
        audit = {t.id for t in store.of(7).tasks.waiting(audit=True)}
        assert len(items) == 6
        assert [item.task_id in audit for item in items] == [item.audit for item in items]
        assert sum(item.audit for item in items) == 2
        done = store.of(7).rounds.get(1)
        assert done is not None
        assert done.evaluation is not None
        assert done.evaluation["labels"] == len(held_out)
        found = done.evaluation["controls"]["topic"]
        assert found["low"] <= found["score"] <= found["high"]
        assert (done.strategy, done.state) == ("uncertainty_herding", "done")

    def test_nothing_new_to_learn_keeps_the_adapter(self, context: Context, store: Store, tiny_encoder: Path) -> None:
        fill(store, tiny_encoder, labeled=12)
        assert run(context, 1) == 1
        assert run(context, 2) == 1
        store.of(7).tasks.put_annotations([(13, {"topic": "fruit"}, True, False)])
        assert run(context, 3) == 2
        store.projects.set(7, options={**OPTIONS, "base_model": str(tiny_encoder), "seed": 0, "lora_r": 2})
        assert run(context, 4) == 3
        assert store.files.adapters(7).versions() == [3, 2, 1]
        assert run(replace(context, keep_adapters=1), 5) == 3
        assert sorted(p.name for p in store.files.adapters(7).path(3).parent.iterdir()) == ["3"]

    def test_no_number_of_a_queue_is_used_twice(self, store: Store) -> None:
        store.projects.connect(7, label_config=CONFIG, options={}, host="b.local")
        assert store.projects.next_queue(7) == 1
        store.projects.add_published(7, 1, "p7-a1-q1")  # and then the import failed
        assert store.projects.next_queue(7) == 2

    def test_a_repeated_train_step_gives_the_same_version(
        self, context: Context, store: Store, tiny_encoder: Path
    ) -> None:
        fill(store, tiny_encoder, labeled=12)
        assert do(context, "decide", actions=["START_TRAINING"]) == 1
        assert [do(context, "train", 1), do(context, "train", 1)] == [1, 1]

    def test_one_class_is_nothing_to_learn_from(self, context: Context, store: Store, tiny_encoder: Path) -> None:
        fill(store, tiny_encoder)
        store.of(7).tasks.put_annotations([(1, "fruit", True, False), (2, "fruit", True, False)])
        assert run(context, 1) == 0
        done = store.of(7).rounds.get(1)
        assert done is not None
        assert (done.strategy, done.evaluation) == ("k_means", None)

    def test_labels_of_removed_choices_teach_nothing_but_stay(
        self, context: Context, store: Store, tiny_encoder: Path
    ) -> None:
        fill(store, tiny_encoder, labeled=15, audit_share=0.0)
        run(context, 1)
        store.projects.set(7, label_config=CONFIG.replace('<Choice value="tool"/>', '<Choice value="plant"/>'))
        run(context, 2)
        adapter = store.of(7).rounds.adapter(2)
        assert adapter is not None
        assert (adapter.targets[0]["classes"], adapter.examples) == (["fruit", "plant", "animal"], 10)
        assert store.of(7).tasks.count_labeled() == 15

    def test_a_failure_is_recorded_and_the_former_version_stays(
        self, context: Context, store: Store, tiny_encoder: Path
    ) -> None:
        fill(store, tiny_encoder, labeled=12)
        run(context, 1)
        do(context, "decide", actions=["START_TRAINING"])
        fail(context, 2, "the disk is full")
        project, failed = store.projects.get(7), store.of(7).rounds.get(2)
        assert project is not None
        assert failed is not None
        assert (project.adapter, project.error) == (1, "the disk is full")
        assert (failed.state, failed.error) == ("failed", "the disk is full")

    def test_embeddings_are_computed_once(
        self, context: Context, store: Store, tiny_encoder: Path, monkeypatch: Any
    ) -> None:
        fill(store, tiny_encoder)
        run(context, 1)
        base = context.models.get(str(tiny_encoder))
        embedded: list[str] = []
        real = base.embed
        monkeypatch.setattr(base, "embed", lambda texts, **more: (embedded.extend(texts), real(texts, **more))[1])
        store.of(7).tasks.put_texts([(50, "apple pear"), (51, "apple pear")], seed=0, audit_share=0.0)
        run(context, 2)
        assert embedded == ["apple pear"]

    def test_the_seconds_of_the_sync_are_recorded(self, context: Context, store: Store, tiny_encoder: Path) -> None:
        fill(store, tiny_encoder)
        assert do(context, "decide", actions=["START_TRAINING"], sync_seconds=1.25) == 1
        assert store.of(7).rounds.get(1).seconds == {"sync": 1.25}  # type: ignore[union-attr]

    def test_an_unknown_project_is_named(self, context: Context) -> None:
        with pytest.raises(BackendError, match="project 5 is not known here"):
            _ = context.open(5).project


@given(st.integers(0, 60), st.integers(0, 20))
def test_interleaving_keeps_both_orders_and_spreads_evenly(many: int, few: int) -> None:
    woven = interleave([f"m{i}" for i in range(many)], [f"f{i}" for i in range(few)])
    assert [x for x in woven if x[0] == "m"] == [f"m{i}" for i in range(many)]
    assert [x for x in woven if x[0] == "f"] == [f"f{i}" for i in range(few)]
    places = [i for i, x in enumerate(woven) if x[0] == "f"]
    if few > 1:
        gaps = [b - a for a, b in pairwise(places)]
        assert max(gaps) - min(gaps) <= 1


@pytest.mark.parametrize(
    ("correct", "total", "low", "high"),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605)],
)
def test_wilson_against_published_values(correct: int, total: int, low: float, high: float) -> None:
    """Newcombe, Statistics in Medicine 1998, table I, method 3."""
    assert wilson(correct, total) == pytest.approx((low, high), abs=1e-4)


def test_turns_are_due_by_events_by_time_and_after_a_clock_jump(store: Store) -> None:
    store.projects.connect(1, label_config="", options={}, host="")
    assert due(store, 1000.0, 60.0) == [(1, 1)]
    store.projects.set(1, synced_at=1000.0)
    assert due(store, 1001.0, 60.0) == []
    assert due(store, 1061.0, 60.0) == [(1, 1)]
    assert due(store, 500.0, 60.0) == [(1, 1)], "the clock jumped back"
    store.events.add(1, "ANNOTATION_CREATED")
    assert due(store, 1001.0, 60.0) == [(1, 1)]
    store.projects.set(1, error="Label Studio is down")
    assert due(store, 1001.0, 60.0) == []
    assert due(store, 1011.0, 60.0) == []
    assert due(store, 1031.0, 60.0) == [(1, 1)]
    store.projects.set(1, connected=False)
    assert due(store, 4599.0, 60.0) == []
    assert due(store, 4600.0, 60.0) == [(1, 1)], "it may be back"


@pytest.mark.parametrize("pre_annotate", [True, False])
def test_suggestions_are_shown_unless_the_team_wants_none(
    pre_annotate: bool, context: Context, store: Store, tiny_encoder: Path
) -> None:
    fill(store, tiny_encoder, labeled=12, audit_share=0.3, pre_annotate=pre_annotate)
    run(context, 1)
    items = store.of(7).rounds.queue(1)
    shown = {each["task"]: bool(each["result"]) for each in predictions(opened(context, version=1), "p7-a1-q1", items)}
    assert shown == {item.task_id: pre_annotate and not item.audit for item in items}
    assert {item.audit for item in items} == {True, False}


def test_classes_of_the_fixture() -> None:
    assert all(f'value="{name}"' in CONFIG for name in CLASSES)

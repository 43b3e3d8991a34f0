"""What a round tells of its model: how sure it may be, who skipped what it is measured on, and what was drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backend.rounds.context import Context
from backend.rounds.quality.unbiased_risk import unbiased_accuracy
from backend.store import Store
from tests.backend.played import mark_truths
from tests.backend.rounds.test_rounds import fill
from tests.backend.steps import do
from tests.backend.steps import play as run
from tests.conftest import labeled_sentences

TRUTH = dict(enumerate((label for _, label in labeled_sentences(200)), 1))


def of_round(store: Store, number: int) -> Any:
    found = store.of(7).rounds.get(number)
    assert found is not None
    assert found.evaluation is not None
    return found.evaluation


def say(store: Store, task_ids: list[int], *, skipped: bool = False) -> None:
    said: Any = [(i, {} if skipped else {"topic": TRUTH[i]}, not skipped, skipped) for i in task_ids]
    store.of(7).tasks.put_annotations(said)


def test_confidences_are_tempered_by_held_out_labels(context: Context, store: Store, tiny_encoder: Path) -> None:
    fill(store, tiny_encoder, count=200, labeled=100, audit_share=0.4)
    assert run(context, 1) == 1
    adapter = store.of(7).rounds.adapter(1)
    assert adapter is not None
    assert adapter.targets[0]["temperature"] != 1.0
    found = of_round(store, 1)["controls"]["topic"]
    assert sum(each["labels"] for each in found["reliability"]) == found["labels"] >= 20
    assert 0 <= found["calibration_error"] < 0.5
    assert run(context, 2) == 1, "a temperature is no reason to train again"


def test_below_twenty_labels_confidences_stay_as_they_are(context: Context, store: Store, tiny_encoder: Path) -> None:
    fill(store, tiny_encoder, count=60, labeled=40, audit_share=0.2)
    run(context, 1)
    adapter = store.of(7).rounds.adapter(1)
    assert adapter is not None
    assert 0 < of_round(store, 1)["labels"] < 20
    assert adapter.targets[0]["temperature"] == 1.0


def test_held_out_tasks_that_were_skipped_are_told_of(
    context: Context, store: Store, tiny_encoder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill(store, tiny_encoder, count=100, labeled=60, audit_share=0.3)
    say(store, [task.id for task in store.of(7).tasks.waiting(audit=True)][:3], skipped=True)
    say(store, [task.id for task in store.of(7).tasks.waiting(audit=False)][:2], skipped=True)
    with caplog.at_level("INFO"):
        run(context, 1)
    assert of_round(store, 1)["skipped"] == 3
    assert "3 held-out tasks skipped" in caplog.text


def test_what_was_drawn_corrects_for_how_it_was_chosen(context: Context, store: Store, tiny_encoder: Path) -> None:
    fill(store, tiny_encoder, count=200, labeled=30, strategy="sampled", queue_size=40, batch_size=20)
    run(context, 1)
    queue = [item for item in store.of(7).rounds.queue(1) if not item.audit]
    assert all(item.probability for item in queue)
    first = store.of(7).rounds.get(1)
    assert first is not None
    store.of(7).rounds.set(1, queue=1)
    assert first.candidates == len(store.of(7).tasks.waiting(audit=False))
    assert unbiased_accuracy(context.open(7)) == {}, "nobody has come to any of it"

    say(store, [queue[0].task_id, *(item.task_id for item in queue[2:20])])
    assert unbiased_accuracy(context.open(7)) == {}, "those behind an open one were not drawn yet"
    say(store, [queue[1].task_id], skipped=True)
    found = unbiased_accuracy(context.open(7))["topic"]
    assert found["labels"] == 19, "the skipped one tells nothing"
    assert 0 <= found["low"] <= found["score"] <= found["high"] <= 1
    assert run(context, 2) == 2
    assert of_round(store, 2)["controls"]["topic"]["corrected"] == found


def test_a_ranking_states_no_probabilities_and_is_not_corrected(
    context: Context, store: Store, tiny_encoder: Path
) -> None:
    fill(store, tiny_encoder, count=200, labeled=30, strategy="margin", queue_size=40)
    run(context, 1)
    store.of(7).rounds.set(1, queue=1)
    say(store, [item.task_id for item in store.of(7).rounds.queue(1)][:20])
    assert unbiased_accuracy(context.open(7)) == {}


def test_a_perfect_model_is_corrected_to_one(context: Context, store: Store, tiny_encoder: Path) -> None:
    """The labels are what the adapter said of each text."""
    fill(store, tiny_encoder, count=120, labeled=30, strategy="random", queue_size=30)
    run(context, 1)
    store.of(7).rounds.set(1, queue=1)
    adapter = store.of(7).rounds.adapter(1)
    assert adapter is not None
    probs = store.files.scores(7, 1).take("topic/probs", store.of(7).tasks.listed().digests)
    says = {
        task.id: adapter.targets[0]["classes"][int(row.argmax())]
        for task, row in zip(store.of(7).tasks.every(), probs, strict=True)
    }
    chosen = [item.task_id for item in store.of(7).rounds.queue(1)]
    store.of(7).tasks.put_annotations([(i, {"topic": says[i]}, True, False) for i in chosen])
    found = unbiased_accuracy(context.open(7))["topic"]
    assert (found["score"], found["high"]) == (1.0, 1.0)
    assert 0.8 < found["low"] < 1.0
    do(context, "evaluate", 1, 1)


def test_the_held_out_labels_tell_what_choosing_saved(context: Context, store: Store, tiny_encoder: Path) -> None:
    fill(store, tiny_encoder, count=240, labeled=40, audit_share=0.5)
    run(context, 1)
    assert "control_arm" not in of_round(store, 1)["controls"]["topic"], "not yet known"
    truth = dict(enumerate((label for _, label in labeled_sentences(240)), 1))
    store.of(7).tasks.put_annotations([(i, {"topic": label}, True, False) for i, label in truth.items()])
    assert min(example.id for example in store.of(7).tasks.chosen()) > 40, (
        "the first were there before anything was chosen"
    )
    run(context, 2)
    found = of_round(store, 2)["controls"]["topic"]["control_arm"]
    held_out = of_round(store, 2)["controls"]["topic"]["labels"]
    assert found["labels"] == held_out // 2 >= 50
    assert found["better"][0] <= found["chosen"] - found["random"] <= found["better"][1]


def test_ground_truth_that_measures_is_not_learned_and_told_of_beside(
    context: Context, store: Store, tiny_encoder: Path
) -> None:
    fill(store, tiny_encoder, count=100, labeled=60, audit_share=0.2)
    teaching = [example.id for example in store.of(7).tasks.labeled(audit=False)]
    held_out = [example.id for example in store.of(7).tasks.labeled(audit=True)]
    mark_truths(store, [*teaching[:10], held_out[0]])
    run(context, 1)
    found = of_round(store, 1)["controls"]["topic"]
    assert (found["labels"], found["ground_truth"]["labels"]) == (len(held_out), 10)
    assert found["ground_truth"]["metric"] == "accuracy"
    assert store.of(7).rounds.adapter(1).examples == len(teaching) - 10  # type: ignore[union-attr]


def test_ground_truth_is_the_score_where_nothing_is_held_out(
    context: Context, store: Store, tiny_encoder: Path
) -> None:
    fill(store, tiny_encoder, count=60, labeled=40, audit_share=0.0)
    mark_truths(store, range(1, 9))
    run(context, 1)
    found = of_round(store, 1)
    assert (found["labels"], found["controls"]["topic"]["labels"]) == (8, 8)
    assert "ground_truth" not in found["controls"]["topic"]


def test_a_project_that_is_labeled_to_its_end_is_known_exactly(
    context: Context, store: Store, tiny_encoder: Path
) -> None:
    fill(store, tiny_encoder, count=50, labeled=20, strategy="sampled", queue_size=60)
    run(context, 1)
    store.of(7).rounds.set(1, queue=1)
    say(store, [item.task_id for item in store.of(7).rounds.queue(1)])
    found = unbiased_accuracy(context.open(7))["topic"]
    assert found["low"] == found["score"] == found["high"]
    assert run(context, 2) == 2


def test_a_task_that_waited_for_a_later_queue_counts_once(context: Context, store: Store, tiny_encoder: Path) -> None:
    fill(store, tiny_encoder, count=80, labeled=20, strategy="sampled", queue_size=30)
    for number in (1, 2):
        run(context, number)
        store.of(7).rounds.set(number, queue=number)
        say(store, [item.task_id for item in store.of(7).rounds.queue(number)][:10])
    queues = [[i.task_id for i in store.of(7).rounds.queue(number) if not i.audit] for number in (1, 2)]
    say(store, queues[1])
    assert set(queues[0]) & set(queues[1]), "what is it that this shows?"
    assert unbiased_accuracy(context.open(7))["topic"]["labels"] <= len(set(queues[0]) | set(queues[1]))

"""Memory that runs out, failures that repeat, and going back: what a round does about them."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend.errors import BackendError, ModelError
from backend.learners.models.base_model import BaseModel
from backend.rounds.commands import rollback
from backend.rounds.context import Context
from backend.rounds.engine import out_of_memory
from backend.rounds.events import DAMAGED, ROLLBACK
from backend.rounds.steps import train as training
from backend.store import Store
from tests.backend.rounds.test_rounds import fill
from tests.backend.steps import do, fail, reason
from tests.backend.steps import play as run
from tests.backend.web.test_ml import CONFIG
from tests.conftest import TOPIC


def project(store: Store) -> Any:
    return store.projects.get(7)


def begin(context: Context, *actions: str) -> int:
    number: int = do(context, "decide", actions=actions or ("START_TRAINING",))
    return number


def test_memory_that_runs_out_halves_the_batch_and_says_so(
    context: Context,
    store: Store,
    tiny_encoder: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    fill(store, tiny_encoder, labeled=12)
    number = begin(context)
    real, asked = training.train_learner, []

    def hungry(*arguments: Any, **options: Any) -> None:
        asked.append(arguments[4].batch_shrink)
        if arguments[4].batch_shrink < 2:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")
        real(*arguments, **options)

    monkeypatch.setattr(training, "train_learner", hungry)
    assert do(context, "train", number) == 1
    assert asked == [0, 1, 2]
    assert "'train' is tried again with batches halved 2 times" in caplog.text
    running = store.of(7).rounds.get(number)
    assert running is not None
    assert running.tries["train"] == 0, "it came to its end"
    assert project(store).halvings == {"train": 2}
    store.of(7).tasks.put_annotations([(13, {"topic": "fruit"}, True, False)])
    store.of(7).rounds.set(number, state="done")
    asked.clear()
    assert do(context, "train", begin(context)) == 2
    assert asked == [2], "the next round does not run out of it first"
    options = {**project(store).options, "train_batch_size": 2}
    store.projects.connect(7, label_config=CONFIG, options=options, host="b.local")
    assert project(store).halvings == {}


def test_a_selection_that_runs_out_of_memory_embeds_smaller_batches(
    context: Context, store: Store, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, tiny_encoder, strategy="core_set", cold_start="k_means")
    real, asked = BaseModel.embed, []

    def hungry(*arguments: Any, tokens_a_batch: int, **options: Any) -> Any:
        asked.append(tokens_a_batch)
        if tokens_a_batch > 1024:
            raise MemoryError
        return real(*arguments, tokens_a_batch=tokens_a_batch, **options)

    monkeypatch.setattr(BaseModel, "embed", hungry)
    number = begin(context)
    assert do(context, "select", number, 0) == 1
    assert asked == [4096, 2048, 1024]
    assert len(store.of(7).rounds.queue(1)) > 0


def test_nobody_is_blamed_while_another_project_computes(context: Context, store: Store, tiny_encoder: Path) -> None:
    fill(store, tiny_encoder, labeled=12)
    number = begin(context)
    with context.computing.turn("another", pytest.fail):
        waiting = threading.Thread(target=do, args=(context, "train", number))
        waiting.start()
        waiting.join(0.5)
        assert waiting.is_alive()
        assert store.of(7).rounds.get(number).tries == {}  # type: ignore[union-attr]
    waiting.join()
    assert store.files.adapters(7).versions() == [1]


def test_a_process_that_was_killed_for_its_memory_is_remembered(
    context: Context, store: Store, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, tiny_encoder, labeled=12)
    number = begin(context)

    class Killed(BaseException):
        """As a kill does, it passes everything by."""

    asked = []

    def killed(*arguments: Any, **_: Any) -> None:
        asked.append(arguments[4].batch_shrink)
        raise Killed

    monkeypatch.setattr(training, "train_learner", killed)
    for _ in range(out_of_memory.TRIES):
        with pytest.raises(Killed):
            do(context, "train", number)
    with pytest.raises(
        ModelError, match=r"'train' ran out of memory, hung, or was killed, 3 times.*give the worker more memory"
    ):
        do(context, "train", number)
    assert asked == [0, 1, 2]
    assert store.files.adapters(7).versions() == [], "nothing half-written"
    assert project(store).halvings == {"train": 2}, "the next round begins there"
    store.rounds.forgive_tries()
    assert project(store).halvings == {}
    with pytest.raises(Killed):
        do(context, "train", number)
    assert asked[-1] == 0, "a stop in good order is nobody's fault"


def test_errors_that_are_not_about_memory_are_not_tried_again(
    context: Context, store: Store, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, tiny_encoder, labeled=12)
    number = begin(context)
    calls = []

    def wrong(*_: Any, **__: Any) -> None:
        calls.append(1)
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr(training, "train_learner", wrong)
    with pytest.raises(RuntimeError, match="shapes"):
        do(context, "train", number)
    assert len(calls) == 1


def test_a_loss_that_is_no_number_fails_the_round_and_keeps_the_adapter(
    context: Context, store: Store, tiny_encoder: Path
) -> None:
    fill(store, tiny_encoder, labeled=12)
    assert run(context, 1) == 1
    store.projects.set(7, options={**project(store).options, "learning_rate": 0.99, "min_steps": 400, "max_steps": 400})
    number = begin(context)
    from backend.learners.training import fine_tuning as learning

    def exploding(*_: Any) -> Any:
        import torch

        return torch.full((), float("nan"), requires_grad=True)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learning, "_loss", exploding)
        with pytest.raises(ModelError, match=r"diverged at step 1: the loss is nan; lower extra_params\.learning_rate"):
            do(context, "train", number)
    assert (project(store).adapter, store.files.adapters(7).versions()) == (1, [1])


def test_failed_rounds_are_tried_again_less_and_less_often(
    context: Context, store: Store, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, tiny_encoder, labeled=12)
    clock = [1_000_000.0]
    for module in ("backend.rounds.engine.due", "backend.rounds.engine.recording", "backend.store.rounds"):
        monkeypatch.setattr(f"{module}.time.time", lambda: clock[0])
    waited = []
    for number in range(1, 10):
        settings = {"targets": [TOPIC.as_json()], "options": project(store).options}
        store.of(7).rounds.begin(number, reason="x", labels=12, tasks=12, **settings)
        fail(context, number, "no luck")
        before = clock[0]
        while reason(context) is None:
            clock[0] += 30
        waited.append(clock[0] - before)
    assert waited == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]
    fail(context, 9, "no luck")
    assert reason(context, {"START_TRAINING"}) is not None, "a person need not wait"
    assert reason(context, {"ANNOTATION_CREATED"}) is None
    clock[0] -= 500_000
    assert reason(context) is not None, "the clock jumped back"


def test_a_failure_delays_no_changed_options(context: Context, store: Store, tiny_encoder: Path) -> None:
    fill(store, tiny_encoder)
    run(context, 1)
    fail(context, begin(context), "no luck")
    assert reason(context) is None
    store.projects.set(7, options={**project(store).options, "batch_size": 5})
    assert reason(context) == "the options changed"


def test_no_round_begins_on_a_full_disk(context: Context, store: Store, tiny_encoder: Path) -> None:
    fill(store, tiny_encoder, labeled=12)
    with pytest.raises(BackendError, match=r"MB left and a round wants 1000000000 free.*serves on"):
        begin(replace(context, min_free_mb=1_000_000_000))
    assert store.of(7).rounds.all() == []


def test_what_was_asked_for_while_the_disk_was_low_is_done_later(
    context: Context, store: Store, tiny_encoder: Path
) -> None:
    fill(store, tiny_encoder, labeled=12)
    store.events.add(7, "START_TRAINING")
    events = do(context, "begin", turn=project(store).turn)
    with pytest.raises(BackendError, match="free some space"):
        do(replace(context, min_free_mb=1_000_000_000), "decide", events=events)
    again = do(context, "begin", turn=project(store).turn)
    assert again["actions"] == ["START_TRAINING"]
    assert do(context, "decide", events=again) == 1
    assert store.events.count() == 0


def test_going_back_puts_the_former_adapter_and_a_queue_of_its_into_force(
    context: Context, store: Store, tiny_encoder: Path
) -> None:
    fill(store, tiny_encoder, labeled=12)
    assert run(context, 1) == 1
    store.of(7).tasks.put_annotations([(13, {"topic": "fruit"}, True, False), (14, {"topic": "tool"}, True, False)])
    assert run(context, 2) == 2
    rollback(store, 7, 2)
    rollback(store, 7, 1)  # the last one counts
    _, actions = store.events.after(7, 0)
    assert actions >= {ROLLBACK}
    number = begin(context, *actions)
    assert do(context, "train", number) == 1
    fail(context, number, "Label Studio is away")
    assert reason(context) is None, "after a pause"
    store.of(7).rounds.set(number, finished_at=0.0)
    assert reason(context) == "going back to adapter 1", "what failed is not forgotten"
    number = begin(context)
    assert do(context, "train", number) == 1
    for step in ("evaluate", "score", "serve"):
        do(context, step, number, 1)
    queue = do(context, "select", number, 1)
    assert queue is not None
    assert store.of(7).rounds.queue(queue)
    do(context, "close", number, 1)
    assert (project(store).adapter, project(store).back_to) == (1, None)
    assert store.files.adapters(7).versions() == [2, 1], "and forth again, if wanted"
    assert run(context, number + 1) == 1, "what was given up does not come back for the same labels"
    store.of(7).tasks.put_annotations([(15, {"topic": "fruit"}, True, False)])
    assert run(context, number + 2) == 3, "new labels teach a new one, never an old number"
    rollback(store, 7, 2)
    assert run(context, number + 3) == 2
    assert [store.of(7).rounds.adapter(n).given_up for n in (1, 2, 3)] == [False, False, True]  # type: ignore[union-attr]


def test_a_way_back_that_is_gone_is_said_and_given_up(context: Context, store: Store, tiny_encoder: Path) -> None:
    fill(store, tiny_encoder, labeled=12)
    run(context, 1)
    store.of(7).tasks.put_annotations([(13, {"topic": "fruit"}, True, False)])
    run(context, 2)
    rollback(store, 7, 1)
    store.files.prune(7, keep={2})
    with pytest.raises(
        ModelError,
        match=r"cannot go back: adapter 1 of project 7 is damaged: its files are gone; the adapter in service stays",
    ):
        do(context, "train", begin(context))
    assert (project(store).adapter, project(store).back_to) == (2, None)


def test_a_way_back_that_fails_again_and_again_is_given_up(
    context: Context, store: Store, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, tiny_encoder, labeled=12)
    run(context, 1)
    rollback(store, 7, 1)
    number = begin(context, ROLLBACK)
    assert do(context, "train", number) == 1

    def useless(*_: Any, **__: Any) -> None:
        raise ModelError("the base model is gone")

    monkeypatch.setattr("backend.rounds.steps.score.local.score", useless)
    with pytest.raises(ModelError):
        do(context, "score", number, 1)
    assert project(store).back_to is None
    store.projects.set(7, back_to=4)
    with pytest.raises(ModelError):
        do(context, "score", number, 1)
    assert project(store).back_to == 4, "that was asked for meanwhile"


def test_an_adapter_without_the_committee_can_be_gone_back_to(
    context: Context, store: Store, tiny_encoder: Path
) -> None:
    fill(store, tiny_encoder, labeled=12)
    run(context, 1)
    store.projects.set(7, options={**project(store).options, "strategy": "bald"})
    store.of(7).tasks.put_annotations([(13, {"topic": "fruit"}, True, False)])
    assert run(context, 2) == 2
    assert store.of(7).rounds.get(2).strategy == "bald"  # type: ignore[union-attr]
    rollback(store, 7, 1)
    assert run(context, 3) == 1
    assert store.of(7).rounds.get(3).strategy == "k_means"  # type: ignore[union-attr]


def test_what_was_asked_for_is_kept_until_it_is_done(context: Context, store: Store, tiny_encoder: Path) -> None:
    fill(store, tiny_encoder, labeled=12)
    few = replace(context, keep_adapters=1)
    run(few, 1)
    store.of(7).tasks.put_annotations([(13, {"topic": "fruit"}, True, False)])
    run(few, 2)
    number = begin(few)
    rollback(store, 7, 1)
    store.of(7).tasks.put_annotations([(14, {"topic": "fruit"}, True, False)])
    assert do(few, "train", number) == 3
    do(few, "close", number, 3)
    assert store.files.adapters(7).versions() == [3, 2, 1]
    assert run(few, number + 1) == 1


def test_a_state_that_was_put_back_in_the_middle_of_a_round_ends_it(
    context: Context, store: Store, tiny_encoder: Path
) -> None:
    fill(store, tiny_encoder, labeled=12)
    number = begin(context)
    with pytest.raises(BackendError, match="adapter 5 is unknown"):
        do(context, "serve", number, 5)
    assert project(store).adapter == 0
    for step in ("serve", "close"):
        with pytest.raises(BackendError, match="round 9 is unknown"):
            do(context, step, 9)


def test_going_back_needs_an_adapter_that_is_there_and_whole(
    context: Context, store: Store, tiny_encoder: Path
) -> None:
    with pytest.raises(BackendError, match="project 7 is not connected"):
        rollback(store, 7, 1)
    fill(store, tiny_encoder, labeled=12)
    run(context, 1)
    with pytest.raises(BackendError, match="adapter 9 of project 7 is not kept here; there are: 1"):
        rollback(store, 7, 9)
    (store.files.adapters(7).path(1) / "heads.safetensors").write_bytes(b"x")
    with pytest.raises(BackendError, match=r"adapter 1 of project 7 is damaged: heads\.safetensors changed"):
        rollback(store, 7, 1)


def test_a_damaged_adapter_is_replaced_by_the_next_round(
    context: Context, store: Store, tiny_encoder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill(store, tiny_encoder, labeled=12)
    assert run(context, 1) == 1
    weights = store.files.adapters(7).path(1) / "adapter_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-10] ^= 0xFF  # one bit that no format notices
    weights.write_bytes(bytes(content))
    assert reason(context, {DAMAGED}) == "adapter 1 is damaged"
    assert do(context, "train", begin(context)) == 2
    assert "adapter_model.safetensors changed since it was written; another is trained" in caplog.text


def test_scores_and_embeddings_that_are_damaged_are_computed_again(
    context: Context, store: Store, tiny_encoder: Path
) -> None:
    fill(store, tiny_encoder, labeled=12)
    assert run(context, 1) == 1
    first = [item.task_id for item in store.of(7).rounds.queue(1)]
    shards = [*store.files.root.glob("projects/7/scores/*/*"), *store.files.root.glob("projects/7/embeddings/*/*")]
    assert {path.parent.parent.name for path in shards} == {"scores", "embeddings"}
    for path in shards:
        path.write_bytes(path.read_bytes()[:100])
    assert run(context, 2) == 1
    assert len(store.of(7).rounds.queue(2)) == len(first)

"""What new labels change between rounds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backend.learners.models.cache import BaseModels
from backend.rounds import commands
from backend.rounds.context import Context, ProjectRun
from backend.rounds.steps import react
from backend.store import Store
from backend.web.serving import Serving
from tests.backend.played import project_of
from tests.backend.rounds.test_class_names import named
from tests.backend.steps import do, opened
from tests.backend.steps import play as run
from tests.conftest import labeled_sentences

COUNT = 60


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The queues that were published."""
    found: list[int] = []

    def publish(run: ProjectRun, queue: int, **_: bool) -> None:
        found.append(queue)
        run.store.projects.set(run.id, queue=queue)

    monkeypatch.setattr(react, "put_in_force", publish)
    return found


def started(context: Context, store: Store, tiny: Path, **options: Any) -> None:
    """A project with a first round by its class names, without labels."""
    named(store, tiny, COUNT, react=True, audit_share=0.0, **options)
    assert run(context, 1) == 1


def label(store: Store, *tasks: int) -> None:
    values = {number: value for number, (_, value) in enumerate(labeled_sentences(COUNT), 1)}
    store.of(7).tasks.put_annotations([(task, {"topic": values[task]}, True, False) for task in tasks])


def surprise(store: Store, task: int) -> None:
    """A label that the model does not expect, so that the order changes."""
    value = labeled_sentences(COUNT)[task - 1][1]
    store.of(7).tasks.put_annotations([(task, {"topic": "tool" if value != "tool" else "animal"}, True, False)])


def queue(store: Store) -> list[int]:
    return [item.task_id for item in store.of(7).rounds.queue(project_of(store).queue)]


def test_a_label_changes_queue_and_suggestions(
    context: Context, store: Store, tiny_encoder: Path, published: list[int]
) -> None:
    started(context, store, tiny_encoder)
    assert not react.applies(opened(context)), "no label yet"
    first = queue(store)
    surprise(store, first[0])
    assert react.applies(opened(context))
    do(context, "react")
    found = project_of(store)
    assert (found.head, found.head_labels, found.adapter, published) == (1, 1, 1, [2])
    assert queue(store) != first
    assert first[0] not in queue(store)
    why = [item.why for item in store.of(7).rounds.queue(2)]
    assert all(each and each["says"] for each in why)
    assert not react.applies(opened(context)), "until there is another label"
    texts = [text for text, _ in labeled_sentences(COUNT)]
    version, _, outputs = Serving(store, BaseModels()).predict(7, texts)
    assert version == "p7-a1-h1"
    digests = [each.digest for each in store.of(7).tasks.every()]
    own = store.files.scores(7, 1).take("topic/probs", digests)
    refitted = store.files.scores(7, 1, 1).take("topic/probs", digests)
    assert abs(own - refitted).max() > 0.01
    assert (outputs["topic/probs"] == refitted).all()
    version, _, _ = Serving(store, BaseModels()).predict(7, ["a text that no round has seen"])
    assert version == "p7-a1", "the adapter itself answers"


def test_the_next_round_takes_over(context: Context, store: Store, tiny_encoder: Path, published: list[int]) -> None:
    started(context, store, tiny_encoder)
    for task in queue(store)[:4]:
        label(store, task)
        do(context, "react")
    assert (project_of(store).head, project_of(store).head_labels) == (4, 4)
    scores = store.files.scores(7, 1).folder.parent
    assert {path.name for path in scores.iterdir()} == {"1", "1-h3", "1-h4"}, "requests may still read the last one"
    assert run(context, 2) == 2
    found = project_of(store)
    assert (found.adapter, found.head, found.head_labels) == (2, 0, 0)
    assert {path.name for path in scores.iterdir()} == {"1", "2"}
    assert not react.applies(opened(context))


def test_a_queue_that_would_not_change_is_not_published(
    context: Context, store: Store, tiny_encoder: Path, published: list[int]
) -> None:
    started(context, store, tiny_encoder, batch_size=1, queue_size=30)
    waiting = [task for task in range(1, COUNT + 1) if task not in queue(store)]
    label(store, waiting[0])
    do(context, "react")
    assert project_of(store).head == 1
    former, now = queue(store), [item.task_id for item in store.of(7).rounds.queue(2)]
    assert published == ([2] if former[:1] != now[:1] else [])


@pytest.mark.parametrize("strategy", ["badge", "entropy", "uncertainty"])
def test_strategies_that_rank_by_the_head(
    context: Context, store: Store, tiny_encoder: Path, published: list[int], strategy: str
) -> None:
    started(context, store, tiny_encoder, strategy=strategy)
    for task in queue(store)[:3]:
        surprise(store, task)
    do(context, "react")
    assert published == [2]


@pytest.mark.parametrize(
    "options", [{"strategy": "random"}, {"strategy": "egl"}, {"balance": 0.3}, {"strategy": "sampled"}], ids=str
)
def test_strategies_that_need_more_wait_for_the_round(
    context: Context, store: Store, tiny_encoder: Path, published: list[int], options: dict[str, Any]
) -> None:
    started(context, store, tiny_encoder, **options)
    label(store, queue(store)[0])
    do(context, "react")
    assert (published, project_of(store).head) == ([], 0)


def test_paused_projects_and_own_orders_stay(
    context: Context, store: Store, tiny_encoder: Path, published: list[int]
) -> None:
    started(context, store, tiny_encoder)
    label(store, queue(store)[0])
    commands.pause(store, 7, paused=True)
    assert not react.applies(opened(context))
    commands.pause(store, 7, paused=False)
    for option in ("react", "manage_queue"):
        store.projects.set(7, options={**project_of(store).options, "react": True, "manage_queue": True, option: False})
        assert not react.applies(opened(context))
    assert not published


def test_several_labels_of_a_text(context: Context, store: Store, tiny_encoder: Path, published: list[int]) -> None:
    config = (
        '<View><Text name="text" value="$text"/><Choices name="topic" toName="text" choice="multiple">'
        '<Choice value="fruit"/><Choice value="tool"/><Choice value="animal"/></Choices></View>'
    )
    named(store, tiny_encoder, COUNT, react=True, audit_share=0.0)
    store.projects.set(7, label_config=config)
    assert run(context, 1) == 1
    first = queue(store)
    values = [[value] for _, value in labeled_sentences(COUNT)]
    store.of(7).tasks.put_annotations([(task, {"topic": values[task - 1]}, True, False) for task in first[:3]])
    do(context, "react")
    assert (project_of(store).head, project_of(store).head_labels) == (1, 3)

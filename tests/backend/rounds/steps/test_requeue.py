"""Tasks that people put first are served first, without a round."""

from __future__ import annotations

import pytest

from backend.rounds import commands
from backend.rounds.commands import CommandError
from backend.rounds.events import FIRST
from backend.rounds.steps import requeue
from backend.store.rounds import PERSON
from tests.backend.finishing import Finishing
from tests.backend.played import project_of
from tests.backend.steps import do, opened


def queue(finishing: Finishing) -> list[int]:
    """The tasks as they were published."""
    return [each["task"] for each in sorted(finishing.there.published, key=lambda each: each["score"])]


def put(finishing: Finishing, *tasks: int) -> None:
    commands.put_first(finishing.store, 7, tasks)
    do(finishing.context, "requeue", actions=[FIRST])


@pytest.fixture
def published(finishing: Finishing) -> Finishing:
    """A project with a queue in force."""
    finishing.store.projects.set(7, queue=1)
    assert not requeue.applies(opened(finishing.context))
    return finishing


def candidates(finishing: Finishing) -> list[int]:
    waiting = finishing.store.of(7).tasks.listed_waiting(audit=False).ids.tolist()
    there = {item.task_id for item in finishing.store.of(7).rounds.queue(1)}
    return [task for task in waiting if task not in there]


def test_they_lead_the_queue_in_their_order_until_they_are_labeled(published: Finishing) -> None:
    a, b, c, *_ = candidates(published)
    put(published, b, a)
    assert queue(published)[:2] == [b, a]
    items = published.store.of(7).rounds.queue(project_of(published.store).queue)
    assert [item.chosen_by == PERSON for item in items[:3]] == [True, True, False]
    assert items[0].why, "explained like the others"
    assert len(items) == len(published.store.of(7).rounds.queue(1)), "they are a part of it"
    put(published, c)
    assert queue(published)[:3] == [c, b, a], "the last request comes first"
    published.label([c])
    assert not requeue.applies(opened(published.context)), "the queue still begins with the others"
    put(published, a)
    assert queue(published)[:2] == [a, b]


def test_nothing_comes_first_any_more(published: Finishing) -> None:
    a, b, *_ = candidates(published)
    put(published, a, b)
    put(published)
    assert a not in queue(published)[:1]
    assert published.store.of(7).tasks.first() == []


def test_a_queue_that_lost_them_is_mended(published: Finishing) -> None:
    task, *_ = candidates(published)
    put(published, task)
    published.store.projects.set(7, queue=1)  # such as a restored state
    assert requeue.applies(opened(published.context))
    do(published.context, "requeue")
    assert queue(published)[0] == task


def test_with_other_options_they_wait_for_the_next_round(published: Finishing) -> None:
    task, *_ = candidates(published)
    published.store.projects.set(7, options={**project_of(published.store).options, "batch_size": 9}, paused=True)
    commands.put_first(published.store, 7, [task])
    assert not requeue.applies(opened(published.context, [FIRST]))


def test_a_sample_that_tests_the_model_comes_before_them(published: Finishing) -> None:
    task, *_ = candidates(published)
    put(published, task)
    published.request(accuracy=0.8, labels=60)
    sample = published.store.of(7).tasks.sampled()
    assert set(queue(published)[: len(sample)]) == set(sample)
    if task not in sample:
        assert queue(published)[len(sample)] == task


def test_tasks_that_cannot_be_selected_are_refused_by_number(published: Finishing) -> None:
    tasks = published.store.of(7).tasks
    labeled, (held_out, *_) = 1, tasks.listed_waiting(audit=True).ids.tolist()
    for task in (labeled, held_out, 99_999):
        with pytest.raises(CommandError, match=f"task {task} cannot be put first"):
            commands.put_first(published.store, 7, [candidates(published)[0], task])
    assert tasks.first() == [], "all or nothing"
    published.store.projects.set(7, options={**project_of(published.store).options, "manage_queue": False})
    with pytest.raises(CommandError, match="manage_queue"):
        commands.put_first(published.store, 7, candidates(published)[:1])

"""How many tasks a project holds out, and when that is decided."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from backend.errors import UnsupportedConfigError
from backend.learners.models.cache import BaseModels
from backend.options import ProjectOptions
from backend.rounds.context import Context
from backend.rounds.quality.held_out import queue_share
from backend.rounds.steps.sync import sync
from backend.store import Store
from backend.store.texts import held_out
from tests.backend.played import project_of
from tests.backend.rounds.memory import Memory
from tests.backend.rounds.steps.test_sync import _no_bar
from tests.backend.steps import opened
from tests.backend.web.test_ml import CONFIG

Connect = Callable[[dict[str, Any]], None]


@pytest.fixture
def there() -> Memory:
    return Memory()


@pytest.fixture
def synced(store: Store, there: Memory) -> Connect:
    """Connect with these options, and sync."""
    context = Context(store=store, client=there, models=BaseModels(), bar=_no_bar)  # type: ignore[arg-type]

    def connect(options: dict[str, Any]) -> None:
        store.projects.connect(7, label_config=CONFIG, options=options, host="b.local:9090")
        sync(opened(context, ["ANNOTATION_CREATED"]))

    return connect


def split(store: Store) -> str:
    return str(project_of(store).split)


def tasks(store: Store) -> set[int]:
    mine = store.of(7).tasks
    return {*mine.listed_waiting(audit=True).ids.tolist(), *(each.id for each in mine.labeled(audit=True))}


@pytest.mark.parametrize(
    ("options", "size", "share"),
    [({}, 1000, 0.1), ({"target": 0.9}, 1000, 0.3), ({"target": 0.9}, 6000, 0.2), ({"target": 0.9}, 50_000, 0.1),
     ({"target": 0.9}, 0, 0.3), ({"target": 0.9, "audit_share": 0.15}, 1000, 0.15)],
)  # fmt: skip
def test_a_target_needs_more_held_out_tasks(
    store: Store, there: Memory, synced: Connect, monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any], size: int, share: float,
) -> None:  # fmt: skip
    real = there.project
    monkeypatch.setattr(there, "project", lambda project_id: real(project_id)._replace(task_number=size))
    synced(options)
    assert split(store) == f"0:{share}"


def test_it_is_decided_until_the_first_label(store: Store, there: Memory, synced: Connect) -> None:
    for task_id in range(1, 101):
        there.put(task_id, None)
    synced({})
    first = tasks(store)
    assert first == {task_id for task_id in range(1, 101) if held_out(0, task_id, 0.1)}
    synced({"target": 0.9})
    second = tasks(store)
    assert second == {task_id for task_id in range(1, 101) if held_out(0, task_id, 0.3)} > first
    there.put(1, "fruit")
    synced({"target": 0.9})
    synced({})
    assert (split(store), tasks(store)) == ("0:0.3", second)
    synced({"audit_share": 0.1})
    assert tasks(store) == first


def test_a_project_of_an_earlier_release_keeps_its_held_out_tasks(store: Store, there: Memory, synced: Connect) -> None:
    for task_id in range(1, 101):
        there.put(task_id, "fruit")
    synced({"audit_share": 0.1})
    before = tasks(store)
    synced({"target": 0.9})
    there.put(101, None)
    synced({"target": 0.9})
    assert split(store) == "0:0.1"
    assert tasks(store) - {101} == before
    store.projects.set(7, connected=False)
    synced({"target": 0.9})
    assert split(store) == "0:0.1", "connected again"
    store.database.migrate(restored=True)
    synced({"target": 0.9})
    assert split(store) == "0:0.1", "restored"


def test_a_restored_project_keeps_its_share_and_reuses_no_number(
    store: Store, there: Memory, synced: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    for task_id in range(1, 101):
        there.put(task_id, None)
    synced({"target": 0.9})
    before = tasks(store)
    there.put(1, "fruit")
    synced({"target": 0.9})
    store.database.migrate(restored=True)
    monkeypatch.setattr(there, "versions", lambda project_id: {"p7-a5": 3, "p7-a5-q9": 60})
    synced({"target": 0.9})
    found = project_of(store)
    assert (found.held_out_share, tasks(store)) == (0.3, before)
    assert (found.adapter_floor, found.queue) == (5, 9)


def test_a_project_that_held_out_nothing_holds_out_a_tenth_with_auto(
    store: Store, there: Memory, synced: Connect
) -> None:
    for task_id in range(1, 101):
        there.put(task_id, "fruit")
    synced({"audit_share": 0})
    assert tasks(store) == set()
    synced({})
    assert tasks(store) == {task_id for task_id in range(1, 101) if held_out(0, task_id, 0.1)}


@pytest.mark.parametrize(
    ("share", "ordinary", "near"), [("auto", 0.1, 0.5), (0.2, 0.2, 0.5), (0.5, 0.5, 0.5), (0.0, 0.0, 0.0)]
)
def test_the_queue_has_more_of_them_near_a_target(share: Any, ordinary: float, near: float) -> None:
    options = ProjectOptions.from_extra_params({"audit_share": share})
    assert (queue_share(options), queue_share(options, near=True)) == (ordinary, near)


@pytest.mark.parametrize("share", ["half", 0.6, -0.1, None])
def test_other_shares_are_refused(share: Any) -> None:
    with pytest.raises(UnsupportedConfigError, match=r"extra_params\.audit_share: Input"):
        ProjectOptions.from_extra_params({"audit_share": share})

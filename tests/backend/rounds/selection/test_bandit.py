"""`auto` in rounds: decisions are written down, rest on labels that came since, and can be made again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backend.rounds.context import Context
from backend.store import Store
from tests.backend.rounds.test_rounds import fill
from tests.backend.steps import do
from tests.backend.steps import play as run
from tests.conftest import labeled_sentences

MEMBERS = ["margin", "badge", "k_means", "random"]


def choosing(store: Store, number: int) -> dict[str, Any]:
    found = store.of(7).rounds.get(number)
    assert found is not None
    assert found.choosing is not None
    return found.choosing


def label(store: Store, task_ids: list[int]) -> None:
    truth = dict(enumerate((label for _, label in labeled_sentences(400)), 1))
    store.of(7).tasks.put_annotations([(i, {"topic": truth[i]}, True, False) for i in task_ids])


def test_shares_move_by_what_the_last_batch_taught(
    context: Context, store: Store, tiny_encoder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill(store, tiny_encoder, count=400, labeled=60, strategy="auto", audit_share=0.3, queue_size=40)
    with caplog.at_level("INFO"):
        run(context, 1)
    first = choosing(store, 1)
    assert first["members"] == MEMBERS
    assert sum(first["shares"]) == pytest.approx(1.0, abs=1e-3)
    assert first["taught"] is None
    assert f"project 7, round 1: {first['why']}" in caplog.text
    queue = [item for item in store.of(7).rounds.queue(1) if not item.audit]
    by = [item.chosen_by for item in queue]
    assert set(by) == set(MEMBERS)
    assert abs(by.count("margin") - first["shares"][0] * len(by)) <= 1
    assert all(item.chosen_by is None for item in store.of(7).rounds.queue(1) if item.audit)

    label(store, [item.task_id for item in store.of(7).rounds.queue(1)])
    run(context, 2)
    second = choosing(store, 2)
    assert second["taught"] is not None
    told = dict(zip(MEMBERS, second["taught"], strict=True))
    assert told["margin"] is not None
    assert second["shares"] != first["shares"]
    chosen = {item.task_id for item in store.of(7).rounds.queue(2)}
    do(context, "select", 2, 2)
    assert choosing(store, 2) == second, "a step that is repeated decides the same"
    assert chosen & {item.task_id for item in store.of(7).rounds.queue(3)}

    run(context, 3)
    assert choosing(store, 3)["taught"] is None, "no label came since"
    assert choosing(store, 3)["shares"] == second["shares"]


def test_it_begins_with_the_cold_start(context: Context, store: Store, tiny_encoder: Path) -> None:
    fill(store, tiny_encoder, count=100, labeled=6, strategy="auto", cold_start_per_class=4)
    run(context, 1)
    found = store.of(7).rounds.get(1)
    assert found is not None
    assert (found.strategy, found.choosing) == ("k_means", None)


def test_other_members_begin_anew(context: Context, store: Store, tiny_encoder: Path) -> None:
    fill(store, tiny_encoder, count=200, labeled=60, strategy="auto", audit_share=0.3, queue_size=30)
    run(context, 1)
    label(store, [item.task_id for item in store.of(7).rounds.queue(1)])
    project = store.projects.get(7)
    assert project is not None
    options = {**project.options, "strategy_options": {"members": ["entropy", "random"]}}
    store.projects.set(7, options=options)
    run(context, 2)
    assert choosing(store, 2)["members"] == ["entropy", "random"]
    by = {item.chosen_by for item in store.of(7).rounds.queue(2) if not item.audit}
    assert by == {"entropy", "random"}


def test_balance_keeps_its_share_beside_any_strategy(context: Context, store: Store, tiny_encoder: Path) -> None:
    fill(store, tiny_encoder, count=300, labeled=60, strategy="auto", balance=0.5, audit_share=0.1, queue_size=40)
    run(context, 1)
    by = [item.chosen_by for item in store.of(7).rounds.queue(1) if not item.audit]
    assert by.count("rare") == len(by) // 2
    assert choosing(store, 1)["members"] == MEMBERS
    project = store.projects.get(7)
    assert project is not None
    store.projects.set(7, options={**project.options, "strategy": "margin"})
    run(context, 2)
    by = [item.chosen_by for item in store.of(7).rounds.queue(2) if not item.audit]
    assert (by.count("rare"), by.count("margin")) == (len(by) // 2, len(by) // 2)
    found = store.of(7).rounds.get(2)
    assert found is not None
    assert (found.strategy, found.choosing) == ("margin", None)

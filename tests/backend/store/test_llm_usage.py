"""Calls are counted before they are sent, and never exceed a budget, on SQLite and PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from backend.store import Store
from tests.backend.store.test_store import connect, store

__all__ = ["store"]  # the fixture: one store of each kind


def test_calls_and_tokens_add_up_by_model(store: Store) -> None:
    connect(store)
    usage = store.of(1).llm_usage
    assert (usage.all(), usage.calls()) == ([], 0)
    assert usage.reserve("openai:a", 3, None)
    usage.add("openai:a", 300, 3, 1.5)
    assert usage.reserve("openai:b", 2, 5)
    assert not usage.reserve("openai:b", 1, 5), "the budget is of all models together"
    usage.add("openai:a", 10, 1, 0.5)
    found = [(each.model, each.calls, each.input_tokens, each.output_tokens, each.seconds) for each in usage.all()]
    assert found == [("openai:a", 3, 310, 4, 2.0), ("openai:b", 2, 0, 0, 0.0)]
    assert store.of(2).llm_usage.calls() == 0


def test_a_budget_is_never_exceeded_by_several_at_once(store: Store) -> None:
    connect(store)
    with ThreadPoolExecutor(4) as threads:
        granted = list(threads.map(lambda _: store.of(1).llm_usage.reserve("openai:a", 3, 20), range(12)))
    assert sum(granted) == 6
    assert store.of(1).llm_usage.calls() == 18

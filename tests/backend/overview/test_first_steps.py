"""What a new project shows as done, and as next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backend.overview.first_steps import first_steps
from backend.rounds.context import Context
from backend.store import Store
from tests.backend.played import project_of
from tests.backend.rounds.conftest import context  # noqa: F401
from tests.backend.rounds.test_rounds import fill
from tests.backend.steps import play
from tests.conftest import labeled_sentences


def done(store: Store) -> dict[str, bool]:
    return {each["name"]: each["done"] for each in first_steps(store, project_of(store))}


def test_steps_are_ticked_off_one_by_one(
    context: Context, store: Store, tiny_encoder: Path  # noqa: F811
) -> None:  # fmt: skip
    fill(store, tiny_encoder, count=0, audit_share=0.3)
    assert done(store) == dict.fromkeys(["connect", "import", "queue", "label", "train", "measure"], False)
    store.projects.set(7, webhook_ready=True)
    fill(store, tiny_encoder, audit_share=0.3)
    assert [name for name, is_done in done(store).items() if is_done] == ["connect", "import"]
    play(context, 1)
    store.projects.set(7, queue=1)
    assert [name for name, is_done in done(store).items() if is_done][-1] == "queue"
    said: Any = [(i, {"topic": label}, True, False) for i, (_, label) in enumerate(labeled_sentences(12), 1)]
    store.of(7).tasks.put_annotations(said[:3])
    steps = {each["name"]: each for each in first_steps(store, project_of(store))}
    assert (steps["label"]["done"], steps["label"]["count"], steps["label"]["of"]) == (False, 3, 4)
    store.of(7).tasks.put_annotations(said)
    play(context, 2)
    assert first_steps(store, project_of(store)) == [], "there is a score"


def test_no_queue_is_awaited_where_the_team_orders_its_own(store: Store, tiny_encoder: Path) -> None:
    fill(store, tiny_encoder, manage_queue=False)
    assert "queue" not in done(store)


def test_no_score_is_awaited_where_nothing_is_held_out(store: Store, tiny_encoder: Path) -> None:
    fill(store, tiny_encoder, audit_share=0.0)
    assert list(done(store))[-1] == "train"

"""Which adapter serves, and with which thresholds, while rounds and other requests go on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from backend.learners.models import memory
from backend.learners.models.cache import BaseModels
from backend.store import Store
from backend.targets import Target
from backend.web.serving import Serving
from tests.backend.web.test_ml import CONFIG
from tests.conftest import labeled_sentences

TEXTS = [text for text, _ in labeled_sentences(4, seed=2)]


@pytest.fixture
def serving(store: Store, adapter: Any) -> Serving:
    store.projects.connect(7, label_config=CONFIG, options={}, host="b.local")
    adapter(1)
    made = Serving(store, BaseModels())
    made.predict(7, TEXTS)
    return made


def test_a_round_that_keeps_its_adapter_publishes_new_temperatures(serving: Serving, store: Store) -> None:
    made = store.of(7).rounds.adapter(1)
    assert made is not None
    tuned = [replace(Target.from_json(each), temperature=2.5, threshold=0.3).as_json() for each in made.targets]
    store.of(7).rounds.set_targets(1, tuned)
    _, targets, _ = serving.predict(7, TEXTS)
    assert [(target.temperature, target.threshold) for target in targets] == [(2.5, 0.3)]


def test_the_adapter_in_service_is_read_and_counted_under_one_lock(
    serving: Serving, adapter: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlocked: list[str] = []

    class Watched(dict[int, Any]):
        def get(self, *arguments: Any) -> Any:
            if not serving._lock.locked():
                unlocked.append("get")
            return super().get(*arguments)

    monkeypatch.setattr(serving, "_current", Watched(serving._current))
    adapter(2)
    assert serving.predict(7, TEXTS)[0] == "p7-a2"
    assert unlocked == []


def test_an_adapter_whose_base_model_leaves_memory_serves_on_if_its_successor_cannot_load(
    serving: Serving, adapter: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    former = serving._current[7]
    adapter(2)

    def without_memory(*_: Any) -> Any:
        serving._let_go(former.learner.base.name)
        raise MemoryError

    monkeypatch.setattr(serving.models, "learner", without_memory)
    for _ in range(2):
        version, _, outputs = serving.predict(7, TEXTS)
        assert (version, len(outputs["topic/probs"])) == ("p7-a1", len(TEXTS))
    assert former.users == 0


def test_memory_goes_back_to_the_system_after_many_texts(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    trims: list[None] = []
    monkeypatch.setattr(memory, "trim", lambda: trims.append(None))
    texts = [text for text, _ in labeled_sentences(8, seed=3)]
    serving.predict(7, texts[:1])
    assert not trims
    serving.predict(7, texts)
    assert len(trims) == 1

"""What a project is said to be doing."""

from __future__ import annotations

import time
from typing import Any

import pytest

from backend.overview.state import state, summary
from backend.store import Store
from backend.store.workers import SILENT
from backend.web.dashboard import sentences
from backend.web.dashboard.language import Language
from tests.backend.played import project_of


def now(store: Store) -> dict[str, Any]:
    return state(store, project_of(store))


def test_a_line_of_a_project(played: Store) -> None:
    found = summary(played, project_of(played))
    assert (found["title"], found["labels"], found["tasks"], found["adapter"]) == ("Fruit & tools", 60, 90, "p7-a2")
    assert found["scores"]["topic"]["metric"] == "accuracy"
    assert found["scores"]["topic"]["low"] < found["scores"]["topic"]["score"] <= found["scores"]["topic"]["high"]


def test_waiting_says_how_many_labels_are_missing(played: Store) -> None:
    assert (now(played)["name"], now(played)["missing"]) == ("waiting", 8)
    assert time.time() - now(played)["published_at"] < 24 * 3600
    played.of(7).tasks.put_annotations([(task, {"topic": "fruit"}, True, False) for task in (61, 62, 63)])
    assert now(played)["missing"] == 5
    played.of(7).tasks.put_annotations([(task, {"topic": "fruit"}, True, False) for task in range(64, 89)])
    played.of(7).tasks.learned(3)
    assert now(played)["missing"] == 2, "no more than there are"
    played.of(7).tasks.put_annotations([(task, {"topic": "fruit"}, True, False) for task in (89, 90)])
    assert now(played)["name"] == "all_labeled"


def test_work_says_how_far_it_is_and_how_long_it_takes(played: Store) -> None:
    played.of(7).rounds.begin(4, reason="test")
    played.of(7).rounds.set(4, step="train")
    assert now(played) | {"since": 0} == {
        "name": "working", "step": "train", "round": 4, "since": 0, "share": None, "seconds_left": None,
        "behind": None,
    }  # fmt: skip
    played.of(7).rounds.set(4, progress={"done": 1, "total": 4, "since": 100.0, "at": 101.0})
    assert (now(played)["share"], now(played)["seconds_left"]) == (0.25, None), "too early to tell"
    played.of(7).rounds.set(4, progress={"done": 1, "total": 4, "since": 100.0, "at": 110.0})
    assert now(played)["seconds_left"] == 30.0


def test_work_that_waits_for_another_project_says_so(played: Store) -> None:
    now_ = time.time()
    played.of(7).rounds.begin(4, reason="test")
    played.of(9).rounds.begin(1, reason="test")
    played.of(9).rounds.set(1, step="train", progress={"done": 1, "total": 4, "since": now_ - 80.0, "at": now_})
    played.of(7).rounds.set(4, step="publish")
    assert now(played)["behind"] is None, "Label Studio is called meanwhile"
    played.of(7).rounds.set(4, step="train")
    assert (now(played)["behind"], now(played)["seconds_left"]) == (9, 240.0)
    assert sentences.state(now(played), Language("en")) == "Training: waiting for project 9, about 4 minutes"
    played.of(7).rounds.set(4, progress={"done": 1, "total": 4, "since": now_ - 10.0, "at": now_})
    assert now(played)["behind"] is None
    played.of(7).rounds.set(4, progress=None)
    played.of(9).rounds.set(1, progress={"done": 1, "total": 4, "since": now_ - 80.0, "at": now_ - 60.0})
    assert now(played)["behind"] is None, "it has ended, or its worker has"


def test_what_stands_still_says_why(played: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    played.projects.set(7, paused=True)
    assert now(played)["name"] == "paused"
    rules = {"target": 0.9, "target_risk": 0.05}
    played.projects.set(7, stopped={"rules": rules, "why": "so", "round": 1, "labels": 9, "at": 1.0, "told": True})
    assert now(played) | {"published_at": 0} == {"name": "stopped", "why": "so", "since": 1.0, "published_at": 0}
    played.projects.set(7, error="Label Studio is away")
    assert now(played)["name"] == "trouble"
    later = time.time() + SILENT + 9
    monkeypatch.setattr(time, "time", lambda: later)
    assert now(played)["name"] == "no_worker"
    played.projects.set(7, connected=False)
    assert now(played)["name"] == "left"


def test_a_new_project_starts_and_one_with_wrong_options_is_in_trouble(played: Store) -> None:
    played.projects.connect(8, label_config="", options={}, host="b.local")
    new = played.projects.get(8)
    assert new is not None
    assert state(played, new)["name"] == "starting"
    played.projects.set(7, options={"strategy": "gone"})
    assert now(played)["name"] == "trouble"

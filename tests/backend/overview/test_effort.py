"""Labels in hours and money."""

from __future__ import annotations

from typing import Any

import pytest

from backend.overview.effort import efforts
from backend.overview.quality import quality
from backend.store import Store
from tests.backend.played import project_of


def measured(store: Store, **values: Any) -> Any:
    return {**quality(store, project_of(store)), "reached": False, **values}


def test_hours_and_money_follow_the_mean_duration_of_a_label(played: Store) -> None:
    project = project_of(played)
    hours, labels = played.of(7).annotations.hours(), played.of(7).tasks.count_labeled()
    assert hours > 0
    found = efforts(played, project, measured(played, forecast={"labels": 2 * labels, "low": 1, "high": 999}))
    assert found["spent"] == {"labels": labels, "hours": hours, "money": None}
    assert found["needed"] is not None
    assert found["needed"]["hours"] == pytest.approx(2 * hours)
    played.projects.set(7, options={**project.options, "cost_per_hour": 30})
    found = efforts(played, project_of(played), measured(played))
    assert found["spent"]["money"] == pytest.approx(30 * hours)
    assert found["needed"] is None, "no forecast"


def test_only_a_significant_saving_is_counted(played: Store) -> None:
    arm = {"labels": 100, "chosen": 0.8, "random": 0.7, "better": [0.05, 0.15]}
    curve = quality(played, project_of(played))["controls"]["topic"]

    def saved(**values: Any) -> Any:
        return efforts(played, project_of(played), measured(played, controls={"topic": {**curve, **values}}))["saved"]

    assert saved(saved=arm) is None
    assert saved(saved={**arm, "needed": 60.4, "needed_interval": [50.0, 80.0]})["labels"] == 20, "the upper end"
    assert saved(saved=None) is None

"""Labels in hours and money."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import update

from backend.overview.effort import efforts
from backend.overview.quality import quality
from backend.store import Store
from backend.store.sql.models import Annotation
from tests.backend.played import project_of


def measured(store: Store, **values: Any) -> Any:
    return {**quality(store, project_of(store)), "reached": False, **values}


def test_hours_and_money_follow_the_mean_duration_of_a_label(played: Store) -> None:
    project = project_of(played)
    hours, labels = played.of(7).annotations.hours(), played.of(7).tasks.count_labeled()
    assert hours > 0
    assert played.of(7).annotations.count_timed() == labels
    found = efforts(played, project, measured(played, forecast={"labels": 2 * labels, "low": 1, "high": 999}))
    assert found["spent"] == {"labels": labels, "hours": hours, "money": None}
    assert found["needed"] is not None
    assert found["needed"]["hours"] == pytest.approx(2 * hours)
    assert found["needed_between"] is not None
    assert [each["labels"] for each in found["needed_between"]] == [1, 999]
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


def test_labels_without_times_dilute_nothing(played: Store) -> None:
    """Imported labels have none: a label costs what those with a time took."""
    labels = played.of(7).tasks.count_labeled()
    with played.database.write() as session:
        session.execute(update(Annotation).where(Annotation.task_id <= 40).values(seconds=None))
    rest = [each for each in played.of(7).annotations.all() if each.task_id > 40]
    hours = sum(each.seconds or 0.0 for each in rest) / 3600
    timed = len({each.task_id for each in rest})
    found = efforts(played, project_of(played), measured(played, forecast={"labels": 100, "low": 1, "high": 999}))
    assert (found["spent"]["labels"], found["timed"]) == (labels, timed)
    assert found["spent"]["hours"] == pytest.approx(hours), "what was recorded"
    assert found["needed"] is not None
    assert found["needed"]["hours"] == pytest.approx(100 * hours / timed)
    with played.database.write() as session:
        session.execute(update(Annotation).values(seconds=None))
    assert efforts(played, project_of(played), measured(played))["spent"]["hours"] is None

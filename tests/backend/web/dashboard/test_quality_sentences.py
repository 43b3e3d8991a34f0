"""What the pages claim about the model's quality, and what they leave out while little is known."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from backend.overview.quality import Curve, Point, Quality
from backend.store import Store
from backend.web.dashboard import quality_sentences
from backend.web.dashboard.language import Language
from tests.backend.web.dashboard.test_pages import client, page  # noqa: F401

ENGLISH = Language("en")


def point(held_out: int, effective: float | None = None) -> Point:
    return {"round": 1, "labels": 200, "held_out": held_out, "metric": "accuracy", "score": 0.7, "low": 0.5,
            "high": 0.9, "effective": effective}  # fmt: skip


def measured(**values: Any) -> Quality:
    empty: Quality = {"controls": {}, "forecast": None, "settled": None, "reached": False, "held_out_left": 10}
    return empty | values  # type: ignore[return-value]


@pytest.mark.parametrize(("held_out", "shown"), [(19, "between 0.50 and 0.90"), (20, "0.700")])
def test_a_score_of_few_held_out_labels_is_a_range(
    client: FlaskClient, played: Store, held_out: int, shown: str  # noqa: F811
) -> None:  # fmt: skip
    last = max(each.number for each in played.of(7).rounds.all() if each.evaluation)
    evaluation: Any = played.of(7).rounds.get(last).evaluation  # type: ignore[union-attr]
    evaluation["controls"]["topic"] |= {"labels": held_out, "score": 0.7, "low": 0.5, "high": 0.9, "effective": 30.0}
    played.of(7).rounds.set(last, evaluation=evaluation)
    text = page(client, "/ui/projects/7")
    assert shown in text
    assert ("0.700" in text) == (held_out >= 20), "neither at the top nor in a table"
    assert "as precise as 30 without the model" in text
    assert shown in page(client, "/ui/")


@pytest.mark.parametrize(
    ("labels", "accuracy", "shown"),
    [(60, 0.95, False), (60, 0.6, True), (12, 0.6, False)],
    ids=["as chance makes it", "bold", "few labels"],
)
def test_confidences_are_called_wrong_only_beyond_chance(
    client: FlaskClient, played: Store, labels: int, accuracy: float, shown: bool  # noqa: F811
) -> None:  # fmt: skip
    last = max(each.number for each in played.of(7).rounds.all() if each.evaluation)
    evaluation: Any = played.of(7).rounds.get(last).evaluation  # type: ignore[union-attr]
    bins = [{"confidence": 0.97, "accuracy": accuracy, "labels": labels}]
    evaluation["controls"]["topic"] |= {
        "labels": labels, "reliability": bins, "calibration_error": abs(0.97 - accuracy)
    }  # fmt: skip
    played.of(7).rounds.set(last, evaluation=evaluation)
    assert ("37.0 percentage points on average" in page(client, "/ui/projects/7")) == shown


@pytest.mark.parametrize("effective", [None, 100.0, 104.0])
def test_confidences_that_add_nothing_are_not_mentioned(effective: float | None) -> None:
    assert quality_sentences.worth(point(100, effective), ENGLISH) is None


def test_what_ten_more_held_out_labels_bring() -> None:
    assert quality_sentences.more(point(30), 10, ENGLISH) == "10 more narrow the interval from 0.40 to about 0.35"
    assert quality_sentences.more(point(30), 9, ENGLISH) is None


def test_a_target_without_held_out_tasks_is_reported_as_uncertain() -> None:
    assert "No held-out task is left" in quality_sentences.forecast(measured(held_out_left=0), asked=True, t=ENGLISH)
    assert "not yet known" in quality_sentences.forecast(measured(), asked=True, t=ENGLISH)
    reached = quality_sentences.forecast(measured(held_out_left=0, reached=True), asked=True, t=ENGLISH)
    assert reached == "The target is reached, statistically confirmed"
    assert quality_sentences.forecast(measured(held_out_left=0), asked=False, t=ENGLISH) == "No target is set"


def curve(held_out: int, needed: int | None = None) -> Curve:
    return {"points": [point(held_out)], "target": 0.9, "former": None, "sure": None, "needed": needed, "saved": None}


def test_what_can_never_be_known_is_said_early() -> None:
    few = quality_sentences.saved(curve(20), 40, ENGLISH)
    assert few == "Cannot be known here: it takes 100 held-out labels, and there are 60 held-out tasks"
    assert quality_sentences.saved(curve(20), 80, ENGLISH) == "Not yet known: 100 held-out labels are needed"
    short = measured(controls={"topic": curve(38, 1000)}, held_out_left=22)
    assert quality_sentences.forecast(short, asked=True, t=ENGLISH).startswith(
        "With this score it takes about 1,000 held-out labels to be certain of the target, and there are 60 held-out"
    )
    assert "not yet known" in quality_sentences.forecast(short | {"held_out_left": 2000}, asked=True, t=ENGLISH)  # type: ignore[arg-type]

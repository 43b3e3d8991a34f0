"""What the pages claim about the model's quality, and what they leave out while little is known."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from backend.overview.effort import Effort, Efforts
from backend.overview.labels import Errors
from backend.overview.quality import Curve, Point, Quality, quality
from backend.store import Store
from backend.web.dashboard import quality_sentences
from backend.web.dashboard.language import Language
from tests.backend.played import project_of
from tests.backend.web.dashboard.test_pages import client, page  # noqa: F401
from tests.backend.web.test_ml import CONFIG

ENGLISH = Language("en")


def point(held_out: int, effective: float | None = None) -> Point:
    return {"round": 1, "labels": 200, "held_out": held_out, "metric": "accuracy", "score": 0.7, "low": 0.5,
            "high": 0.9, "effective": effective}  # fmt: skip


def measured(**values: Any) -> Quality:
    empty: Quality = {"controls": {}, "forecast": None, "settled": None, "reached": False, "out_of_reach": False,
                      "held_out_left": 10, "held_out": 500, "tasks": 600, "least": None}  # fmt: skip
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


@pytest.mark.parametrize(
    ("effective", "expected"),
    [
        (None, None),
        (100.0, None),
        (104.0, "adjusted by the model's confidences"),  # the score is no share of the held-out labels then
        (130.0, "as precise as 130 without the model's confidences"),
    ],
)
def test_the_part_of_the_confidences_in_the_score(effective: float | None, expected: str | None) -> None:
    assert quality_sentences.worth(point(100, effective), ENGLISH) == expected


def test_what_ten_more_held_out_labels_bring() -> None:
    assert quality_sentences.more(point(30), 10, ENGLISH) == (
        "10 more held-out labels narrow the interval from 0.40 to about 0.35"
    )
    assert quality_sentences.more(point(30), 9, ENGLISH) is None
    assert quality_sentences.more(point(800), 10, ENGLISH) is None, "which nobody would notice"


def test_a_curve_that_does_not_lead_to_the_target() -> None:
    found = quality_sentences.forecast(measured(out_of_reach=True), asked=True, t=ENGLISH)
    assert found == "By the learning curve so far, more labels alone may not reach the target"
    assert "not yet known" in quality_sentences.forecast(measured(), asked=True, t=ENGLISH)


@pytest.mark.parametrize(
    ("too_high", "expected"),
    [
        (0.1, "10.0 percentage points on average, mostly too high"),
        (-0.1, "10.0 percentage points on average, mostly too low"),
    ],
)
def test_the_direction_in_which_confidences_are_off(too_high: float, expected: str) -> None:
    found: Any = curve(120) | {"calibration_error": 0.1, "miscalibrated": True, "overconfidence": too_high}
    assert quality_sentences.calibration(found, ENGLISH) == expected


def test_wrong_labels_are_named_beside_the_score() -> None:
    assert quality_sentences.blamed(None, ENGLISH) is None
    unsure: Errors = {"labels": 200, "number": 5.0, "low": 0.0, "high": 12.0}
    assert quality_sentences.blamed(unsure, ENGLISH) is None
    assert quality_sentences.blamed({**unsure, "low": 2.0, "number": 12.0}, ENGLISH) == (
        "About 6% of the compared labels seem wrong; held-out ones of these count as errors of the model"
    )


def test_a_target_without_held_out_tasks_is_reported_as_uncertain() -> None:
    assert "No held-out task is left" in quality_sentences.forecast(measured(held_out_left=0), asked=True, t=ENGLISH)
    assert "not yet known" in quality_sentences.forecast(measured(), asked=True, t=ENGLISH)
    reached = quality_sentences.forecast(measured(held_out_left=0, reached=True), asked=True, t=ENGLISH)
    assert reached == "The target is reached, statistically confirmed"
    assert quality_sentences.forecast(measured(held_out_left=0), asked=False, t=ENGLISH) == "No target is set"


def curve(held_out: int, needed: int | None = None) -> Curve:
    return {"points": [point(held_out)], "target": 0.9, "former": None, "sure": None, "needed": needed, "saved": None}


def test_what_can_never_be_known_is_said_early() -> None:
    few = quality_sentences.saved(curve(20), measured(held_out=60), ENGLISH)
    assert few == (
        "Cannot be known here: it takes 100 held-out labels, and there are 60 held-out tasks. "
        "`audit_share` 0.17 in Extra params would hold out enough; labels of these tasks then leave the training"
    )
    none = quality_sentences.saved(curve(20), measured(held_out=60, tasks=150), ENGLISH)
    assert none is not None
    assert none.endswith("The project has too few tasks for that: add some, or lower `target`")
    assert quality_sentences.saved(curve(20), measured(), ENGLISH) == "Not yet known: 100 held-out labels are needed"
    short = measured(controls={"topic": curve(38, 1000)}, held_out=60, tasks=3000)
    assert quality_sentences.forecast(short, asked=True, t=ENGLISH) == (
        "With this score it takes about 1,000 held-out labels to be certain of the target, and there are 60 held-out "
        "tasks. `audit_share` 0.34 in Extra params would hold out enough; labels of these tasks then leave the training"
    )
    assert "not yet known" in quality_sentences.forecast(short | {"held_out": 2000}, asked=True, t=ENGLISH)  # type: ignore[arg-type]
    never = quality_sentences.forecast(measured(least=155, held_out=150, tasks=500), asked=True, t=ENGLISH)
    assert never == (
        "This target cannot be confirmed here: it takes 155 held-out labels even if all are right, and there are 150 "
        "held-out tasks. `audit_share` 0.31 in Extra params would hold out enough; labels of these tasks then leave "
        "the training"
    )


def test_a_target_out_of_reach_is_named_before_the_first_label(client: FlaskClient, played: Store) -> None:  # noqa: F811
    played.projects.connect(8, label_config=CONFIG, options={"target": 0.98, "audit_share": 0.3}, host="b.local")
    played.of(8).tasks.put_texts([(n, f"text {n}") for n in range(500)], seed=0, audit_share=0.3)
    assert "This target cannot be confirmed here: it takes 304 held-out labels" in page(client, "/ui/projects/8")


def test_labels_since_the_last_round_change_no_total(client: FlaskClient, played: Store) -> None:  # noqa: F811
    before = quality(played, project_of(played))["held_out"]
    waiting = [each.id for each in played.of(7).tasks.waiting(audit=True)][:3]
    played.of(7).tasks.put_annotations([(task, {"topic": "fruit"}, True, False) for task in waiting])
    assert quality(played, project_of(played))["held_out"] == before


def test_selection_that_is_worse_is_called_so() -> None:
    arm = {"labels": 100, "chosen": 0.6, "random": 0.7, "better": [-0.15, -0.05]}
    worse = quality_sentences.saved(curve(120) | {"saved": arm}, measured(), ENGLISH)  # type: ignore[arg-type]
    assert worse is not None
    assert worse.startswith(
        "The first 100 chosen labels are worse than random ones, for a simple model (95 % interval: -15.0 to -5.0 "
    )


def test_how_many_labels_seem_wrong() -> None:
    def told(number: float, low: float, high: float) -> str:
        return quality_sentences.errors({"labels": 200, "number": number, "low": low, "high": high}, ENGLISH)

    assert told(0.2, 0.0, 6.4) == ("Of 200 compared labels at most 6 are wrong, with 95 % confidence; perhaps none is")
    assert told(5.0, 0.0, 12.0) == (
        "Of 200 compared labels about 5 may be wrong, at most 12 with 95 % confidence; perhaps none is"
    )
    assert told(18.0, 9.6, 29.2) == "About 18 of 200 compared labels seem wrong (95 % interval: 10 to 29)"


def test_effort_with_few_times_and_in_a_range() -> None:
    def of(labels: int) -> Effort:
        return {"labels": labels, "hours": labels / 100, "money": None}

    found: Efforts = {"spent": {"labels": 320, "hours": 0.5, "money": None}, "timed": 20, "saved": None,
                      "needed": of(200), "needed_between": [of(100), of(400)]}  # fmt: skip
    assert quality_sentences.spent(found, ENGLISH) == "320 labels, 0.5 hours (times are known of 20)"
    assert quality_sentences.still_needed(found, ENGLISH) == (
        "200 labels, 2.0 hours (in 8 of 10 cases between 100 labels, 1.0 hours and 400 labels, 4.0 hours)"
    )

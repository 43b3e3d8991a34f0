"""When a project may stop, who hears of it, and what the queue asks for on the way."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend.options import ProjectOptions
from backend.rounds.context import Context
from backend.rounds.quality.goals import check, goals_of, near
from backend.store import Store
from backend.store.sql.models import Round
from backend.targets import Target
from tests.backend.rounds.test_rounds import fill
from tests.backend.steps import do, reason
from tests.backend.steps import play as run
from tests.conftest import labeled_sentences


def of_round(store: Store, number: int) -> dict[str, Any]:
    found = store.of(7).rounds.get(number)
    assert found is not None
    assert found.stopping is not None
    return found.stopping


def stopped(store: Store) -> dict[str, Any] | None:
    project = store.projects.get(7)
    assert project is not None
    return project.stopped


def change(store: Store, **options: Any) -> None:
    project = store.projects.get(7)
    assert project is not None
    store.projects.set(7, options={**project.options, **options})


def test_a_target_that_is_surely_reached_is_told_once(
    context: Context, store: Store, tiny_encoder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill(store, tiny_encoder, count=200, labeled=200, audit_share=0.4, target=0.6)
    with caplog.at_level("WARNING"):
        run(context, 1)
    found = of_round(store, 1)["look"]
    assert found["reached"]
    assert found["found"]["topic"]["sure"] >= 0.6
    first = stopped(store)
    assert first is not None
    assert (first["round"], first["labels"]) == (1, 200)
    assert "project 7: labeling may stop, the target is reached (topic: surely 0." in caplog.text

    caplog.clear()
    with caplog.at_level("WARNING"):
        run(context, 2)
    assert stopped(store) == first
    assert of_round(store, 2)["look"] == found, "the same labels are not looked at twice, and what was seen stands"
    assert "may stop" not in caplog.text

    change(store, target=0.999)
    run(context, 3)
    assert stopped(store) is None, "another target is another question"


def test_tests_of_another_kind_of_label_do_not_count() -> None:
    seen, measured = of(TOPIC, 0.9, **RIGHT, labels=90), {"topic": {**RIGHT, "labels": 100}}
    this = Round(project_id=7, number=9, state="running", evaluation={"controls": measured})
    former = Round(project_id=7, number=1, state="done", targets=[TOPIC.as_json()], stopping={"look": seen})
    options = ProjectOptions(target=0.9, audit_share=0.1)
    several = Target("topic", "multilabel", ("a", "b"))
    for target, looked in ((TOPIC, 90), (several, 100)):
        assert check({"topic": 0.9}, [target], this, [former], options)["looked"] == looked  # type: ignore[index]


def test_few_held_out_labels_prove_nothing(context: Context, store: Store, tiny_encoder: Path) -> None:
    fill(store, tiny_encoder, count=60, labeled=60, audit_share=0.1, target=0.3)
    run(context, 1)
    found = of_round(store, 1)["look"]
    assert (found["found"], found["reached"], found["looked"]) == ({}, False, 0)
    assert stopped(store) is None


TOPIC = Target("topic", "classification", ("a", "b"))
RIGHT = {"metric": "accuracy", "score": 1.0, "correct": 100, "low": 0.96, "high": 1.0}


def of(target: Target, goal: float, *former: Any, risk: float = 0.05, share: float = 0.1, **measured: Any) -> Any:
    """What one round looks at after others that looked."""
    this = Round(project_id=7, number=9, state="running", evaluation={"controls": {target.name: measured}})
    rounds = [Round(project_id=7, number=number, state="failed", stopping={"look": each})
              for number, each in enumerate(former)]  # fmt: skip
    options = ProjectOptions(target=goal, target_risk=risk, audit_share=share)
    return check(goals_of(options, [target]), [target], this, rounds, options)


def test_each_look_counts_from_the_last_one_of_the_same_question() -> None:
    """Of whichever round, failed ones too: what was seen was seen."""
    seen = of(TOPIC, 0.9, **RIGHT, labels=90)
    assert of(TOPIC, 0.9, seen, **RIGHT, labels=100) == seen, "10 more are too few"
    assert of(TOPIC, 0.8, seen, **RIGHT, labels=100)["looked"] == 100, "another target has not been looked at"
    assert of(TOPIC, 0.9, seen, risk=0.1, **RIGHT, labels=100)["looked"] == 100
    other = of(TOPIC, 0.8, **RIGHT, labels=95)
    assert of(TOPIC, 0.9, seen, other, **RIGHT, labels=100) == seen, "nor is it forgotten over another"
    first, again = of(TOPIC, 0.9, **RIGHT, labels=120), of(TOPIC, 0.9, seen, **RIGHT, labels=120)
    assert again["found"]["topic"]["sure"] < first["found"]["topic"]["sure"], "what the first could use is gone"


def test_scores_that_are_no_counts() -> None:
    spans = Target("x", "spans", ("a",))
    assert of(spans, 0.5, metric="span_f1", score=0.9, low=0.85, high=0.95, labels=100)["reached"]
    assert not of(spans, 0.5, metric="span_f1", score=0.55, low=0.4, high=0.7, labels=100)["reached"]
    assert of(spans, 0.8, metric="span_f1", score=1.0, low=0.97, high=1.0, labels=100)["reached"], "a perfect one"
    assert not of(spans, 0.1, metric="span_f1", score=1.0, low=0.0, high=1.0, labels=100)["reached"], "of nothing"


def test_errors_have_an_upper_end() -> None:
    stars = Target("x", "regression", low=1, high=5)
    assert of(stars, 0.5, metric="mae", score=0.2, low=0.15, high=0.25, labels=200)["reached"]
    assert not of(stars, 0.5, metric="mae", score=0.45, low=0.3, high=0.6, labels=200)["reached"]
    lucky = of(stars, 0.1, metric="mae", score=0.0, low=0.0, high=0.0, labels=20)
    assert not lucky["reached"], "twenty without an error prove little"
    assert lucky["found"]["x"]["sure"] > 1
    price = Target("x", "regression")
    assert of(price, 0.5, metric="mae", score=0.2, low=0.1, high=0.3, labels=99)["looked"] == 0
    assert of(price, 0.5, metric="mae", score=0.2, low=0.1, high=0.3, labels=100)["reached"]


def test_nothing_is_sure_without_held_out_tasks_or_of_controls_that_were_not_measured() -> None:
    assert of(TOPIC, 0.5, share=0.0, **RIGHT, labels=500) is None
    this = Round(project_id=7, number=1, state="running", evaluation={"controls": {"topic": {**RIGHT, "labels": 500}}})
    targets = [TOPIC, Target("tone", "classification", ("a", "b"))]
    options = ProjectOptions(target=0.5)
    both = check(goals_of(options, targets), targets, this, [], options)
    assert both is not None
    assert not both["reached"]
    assert not near(goals_of(options, targets), this.evaluation)
    one = ProjectOptions(target={"topic": 0.5})
    found = check(goals_of(one, targets), targets, this, [], one)
    assert found is not None
    assert found["reached"]


def test_several_controls_are_looked_at_together() -> None:
    """However differently their labels come: when the one of fewest labels is due."""
    targets = [TOPIC, Target("tone", "classification", ("a", "b"))]
    options = ProjectOptions(target=0.6)
    former: list[Round] = []
    for number in range(1, 60):
        measured = {"topic": {**RIGHT, "labels": 10 * number}, "tone": {**RIGHT, "labels": 6 * number}}
        this = Round(project_id=7, number=number, state="running", evaluation={"controls": measured})
        seen = check(goals_of(options, targets), targets, this, former, options)
        former.append(Round(project_id=7, number=number, state="done", stopping={"look": seen}))
        if seen is not None and seen["reached"]:
            break
    assert number < 10


def test_near_the_target_half_of_the_queue_measures(context: Context, store: Store, tiny_encoder: Path) -> None:
    def measuring(number: int) -> int:
        run(context, number)
        return sum(item.audit for item in store.of(7).rounds.queue(number))

    fill(store, tiny_encoder, count=400, labeled=100, audit_share=0.2, queue_size=20, target=0.999)
    assert measuring(1) == 4
    evaluation = store.of(7).rounds.get(1).evaluation["controls"]["topic"]  # type: ignore[union-attr,index]
    assert evaluation["labels"] >= 15
    change(store, target=evaluation["score"] - 0.001)
    assert measuring(2) == 10
    change(store, budget=1)
    run(context, 3)
    assert measuring(4) == 4, "it may stop: there is nothing to be sure of any more"


def test_a_budget_of_labels_starts_a_last_round(context: Context, store: Store, tiny_encoder: Path) -> None:
    fill(store, tiny_encoder, count=40, labeled=0, budget=3)
    run(context, 1)
    truth = labeled_sentences(40)
    store.of(7).tasks.put_annotations([(i, {"topic": truth[i - 1][1]}, True, False) for i in (1, 2)])
    assert reason(context) is None, "fewer than a batch"
    store.of(7).tasks.put_annotations([(3, {"topic": truth[2][1]}, True, False)])
    assert reason(context) == "the budget of 3 labels is spent (3)"
    run(context, 2)
    assert stopped(store)["why"] == "the budget of 3 labels is spent (3)"  # type: ignore[index]
    assert reason(context) is None


def test_a_budget_of_hours_is_what_annotators_spent(context: Context, store: Store, tiny_encoder: Path) -> None:
    fill(store, tiny_encoder, count=40, labeled=4, budget_hours=0.5)
    run(context, 1)
    said = {"annotator": 1, "skipped": False, "labels": {}, "seconds": 1200.0}
    store.of(7).tasks.put_annotations([], {1: [{"id": 1, **said}], 2: [{"id": 2, **said, "seconds": None}]})
    assert reason(context) is None
    store.of(7).tasks.put_annotations([], {2: [{"id": 2, **said, "skipped": True}]})
    assert reason(context) == "the budget of 0.5 hours is spent (0.7)"
    run(context, 2)
    assert of_round(store, 2)["hours"] == pytest.approx(2 / 3, abs=1e-3)
    store.of(7).tasks.keep_only(set(range(2, 41)))
    assert store.of(7).annotations.hours() == pytest.approx(1 / 3), "a deleted task took its annotations along"


def test_the_last_labels_are_learned_however_few(context: Context, store: Store, tiny_encoder: Path) -> None:
    fill(store, tiny_encoder, count=10, labeled=9)
    run(context, 1)
    store.of(7).tasks.put_annotations([(10, {"topic": "fruit"}, True, False)])
    assert reason(context) is None, "perhaps more are coming"
    store.of(7).rounds.set(1, finished_at=time.time() - 700)
    assert reason(context) == "1 newly labeled tasks, the last ones"


def test_predictions_settle(context: Context, store: Store, tiny_encoder: Path) -> None:
    fill(store, tiny_encoder, count=120, labeled=40)
    truth = labeled_sentences(120)
    for number in range(1, 6):
        run(context, number)
        store.of(7).tasks.put_annotations(
            [(i, {"topic": truth[i - 1][1]}, True, False) for i in range(40, 41 + 2 * number)]
        )
    agreed = [of_round(store, number)["agreement"] for number in range(1, 6)]
    assert agreed[0] == {}, "there was nothing to compare with"
    assert all(-1 <= each["topic"] <= 1 for each in agreed[1:])
    last = [each["topic"] for each in agreed[-3:]]
    assert of_round(store, 5)["settled"] == (sum(last) / 3 >= 0.99)
    assert not of_round(store, 3)["settled"], "two comparisons are too few"
    assert stopped(store) is None, "it is advice"


def test_a_forecast_needs_a_curve_and_tells_a_range(context: Context, store: Store, tiny_encoder: Path) -> None:
    fill(store, tiny_encoder, count=2000, labeled=20, audit_share=0.4, target=0.88)
    truth = labeled_sentences(2000)
    for number, known in enumerate((40, 60, 90, 130, 180), 1):
        run(context, number)
        store.of(7).tasks.put_annotations([(i, {"topic": truth[i - 1][1]}, True, False) for i in range(1, known + 1)])
    assert of_round(store, 3)["forecast"] is None, "three points are no curve"
    found = of_round(store, 5)["forecast"]
    assert 0 < found["low"] <= found["labels"] <= (found["high"] or found["labels"])


def broken(*_: Any, **__: Any) -> Any:
    raise ValueError("a text")


def test_advice_that_fails_stops_nothing(
    context: Context,
    store: Store,
    tiny_encoder: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("quality.stopping.agreement", "quality.stopping.labels_needed", "insights.label_errors.review"):
        monkeypatch.setattr(f"backend.rounds.{name}", broken)
    fill(store, tiny_encoder, count=40, labeled=12, budget=10)
    assert run(context, 1) == 1
    assert "could not compute which labels seem wrong" in caplog.text
    assert stopped(store) is not None, "the budget is spent all the same"


def test_a_choice_that_takes_several_from_now_on_is_compared_with_nothing(
    context: Context, store: Store, tiny_encoder: Path
) -> None:
    fill(store, tiny_encoder, count=60, labeled=40)
    run(context, 1)
    project = store.projects.get(7)
    assert project is not None
    several = project.label_config.replace("<Choices ", '<Choices choice="multiple" ')
    store.projects.set(7, label_config=several)
    truth = labeled_sentences(60)
    store.of(7).tasks.put_annotations(
        [(i, {"topic": [label]}, True, False) for i, (_, label) in enumerate(truth[:40], 1)]
    )
    assert run(context, 2) == 2
    assert of_round(store, 2)["agreement"] == {}


class TestTelling:
    def test_it_is_told_once_and_tried_again(
        self, context: Context, store: Store, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        said: list[str] = []
        arrives, now = False, time.time()

        def notify(text: str) -> bool:
            said.append(text)
            return arrives

        class Client:
            url = "http://ls.local:8080"

        context = replace(context, notify=notify, client=Client())  # type: ignore[arg-type]
        fill(store, tiny_encoder, labeled=8, budget=8)
        do(context, "tell")
        assert said == []
        run(context, 1)
        monkeypatch.setattr("backend.rounds.quality.notification.time.time", lambda: now)
        do(context, "tell")
        do(context, "tell")
        assert len(said) == 1, "it waits a minute"
        arrives, now = True, now + 61
        do(context, "tell")
        do(context, "tell")
        told = (
            "Label Studio project 7: labeling may stop after 8 labels, the budget of 8 labels is spent (8). "
            "http://ls.local:8080/projects/7"
        )
        assert said == [told] * 2
        run(context, 2)
        do(context, "tell")
        assert len(said) == 2

    def test_what_goes_wrong_there_is_no_failure_of_the_round(
        self, context: Context, store: Store, tiny_encoder: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Client:
            url = "http://ls.local:8080"

        context = replace(context, notify=broken, client=Client())  # type: ignore[arg-type]
        fill(store, tiny_encoder, labeled=8, budget=8)
        run(context, 1)
        do(context, "tell")
        assert "could not compute the message to NOTIFY_URL" in caplog.text

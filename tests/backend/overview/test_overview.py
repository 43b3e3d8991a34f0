"""What there is to see of a project after real rounds."""

from __future__ import annotations

import json
import shutil
from itertools import pairwise

import pytest

from backend.overview import history, labels
from backend.overview.card import card
from backend.overview.quality import quality
from backend.overview.state import summary
from backend.overview.tasks import pool
from backend.overview.tasks.queue import excerpt, queue
from backend.store import Store
from tests.backend.played import COUNT, WRONG, mark_truths, project_of


def test_the_learning_curve(played: Store) -> None:
    found = quality(played, project_of(played))
    topic = found["controls"]["topic"]
    assert [(point["round"], point["labels"]) for point in topic["points"]] == [(2, 30), (3, 60)]
    assert all(point["low"] <= point["score"] <= point["high"] for point in topic["points"])
    assert (topic["target"], topic["saved"]) == (0.9, None)
    assert found["settled"] is False


def test_the_curve_begins_anew_when_labels_of_another_kind_are_learned(played: Store) -> None:
    last = played.of(7).rounds.get(3)
    assert last is not None
    assert last.evaluation is not None
    topic = {**last.evaluation["controls"]["topic"], "metric": "micro_f1"}
    played.of(7).rounds.begin(4, reason="test", adapter=2)
    played.of(7).rounds.set(4, evaluation={"labels": 60, "controls": {"topic": topic}}, state="done")
    found = quality(played, project_of(played))["controls"]["topic"]
    assert [point["round"] for point in found["points"]] == [4]
    assert found["former"] == {"metric": "accuracy", "round": 3}


def test_the_history_of_rounds_and_adapters(played: Store) -> None:
    rounds = history.history(played, project_of(played), 2)
    assert [(each["round"], each["state"], each["adapter"]) for each in rounds] == [
        (3, "done", "p7-a2"), (2, "done", "p7-a1")
    ]  # fmt: skip
    assert rounds[0]["strategy"] == "uncertainty_herding"
    assert {"train", "evaluate", "score", "select", "judge"} <= set(rounds[0]["seconds"])
    kept = history.adapters(played, project_of(played))
    assert [(each["number"], each["in_service"]) for each in kept] == [(2, True), (1, False)]


def test_the_queue_says_what_is_predicted_and_why(played: Store) -> None:
    found = queue(played, project_of(played), 100)
    assert (found["queue"], found["strategy"]) == ("p7-a2-q3", "uncertainty_herding")
    assert found["open"] == found["all"] == len(found["tasks"])
    for item in found["tasks"]:
        (said,) = item["why"]["says"]
        (first, sure), (_, less) = said["between"]
        assert (said["control"], said["value"], sure) == ("topic", first, round(said["confidence"], 3))
        assert sure >= less
        assert item["held_out"] == (item["score"] is None)
        assert item["held_out"] != ({"novelty", "density"} <= set(item["why"]))
    chosen = [item for item in found["tasks"] if not item["held_out"]]
    assert all(more >= less for more, less in pairwise(item["score"] for item in chosen)), "the most useful first"
    first = found["tasks"][0]["task"]
    played.of(7).tasks.put_annotations([(first, {"topic": "fruit"}, True, False)])
    after = queue(played, project_of(played), 3)
    assert (after["open"], after["all"]) == (found["open"] - 1, found["all"])
    assert [item["task"] for item in after["tasks"]] == [item["task"] for item in found["tasks"][1:4]]


def test_classes_annotators_and_suspects(played: Store) -> None:
    assert labels.classes(played, project_of(played)) == {"topic": {"fruit": 17, "tool": 23, "animal": 20}}
    config = project_of(played).label_config.replace("</Choices>", '<Choice value="plant"/></Choices>')
    played.projects.set(7, label_config=config)
    assert labels.classes(played, project_of(played))["topic"]["plant"] == 0, "classes without a label are listed"
    found = labels.annotators(played, project_of(played))
    assert [(each["annotator"], each["annotations"], each["seconds_each"]) for each in found["annotators"]] == [
        (1, 60, 6.0), (2, 60, 12.0)
    ]  # fmt: skip
    assert [(each["compared"], each["disagrees"]) for each in found["annotators"]] == [(60, 3), (60, 3)]
    assert found["agreement"]["topic"]["share"] == pytest.approx(57 / 60)
    assert found["hours"] == pytest.approx(60 * 18 / 3600)


def test_corrected_labels_are_no_longer_worth_a_look(played: Store) -> None:
    last = max(each.number for each in played.of(7).rounds.all() if each.review)
    errors = {"labels": 60, "number": 3.1, "low": 0.7, "high": 9.8}
    suspects = [{"task": task, "given": "tool", "instead": "fruit", "quality": 0.1 * place}
                for place, task in enumerate(WRONG)]  # fmt: skip
    played.of(7).rounds.put_review(last, {"topic": {"suspects": suspects, "errors": errors}})
    assert labels.errors(played, project_of(played)) == {"topic": errors}
    found = labels.suspects(played, project_of(played), 5)
    assert [each["task"] for each in found] == list(WRONG)
    assert all(each["text"] for each in found)
    played.of(7).tasks.put_annotations([(WRONG[0], {"topic": "fruit"}, True, False)])
    assert labels.suspects(played, project_of(played), 5) == found[1:]


def test_all_labels_as_lines(played: Store) -> None:
    told = [json.loads(line) for line in labels.lines(played, project_of(played))]
    assert sorted(each["task"] for each in told) == list(range(1, 61))
    assert told[0] == {"task": told[0]["task"], "text": told[0]["text"], "labels": told[0]["labels"], "held_out": False}
    assert {each["task"] for each in told if each["held_out"]} == {
        each.id for each in played.of(7).tasks.labeled(audit=True)
    }


def test_the_map_has_every_text_with_what_is_known_of_it(played: Store) -> None:
    found = pool.chart(played, project_of(played))
    columns = ("x", "y", "state", "given", "predicted", "uncertainty")
    assert found["tasks"] == list(range(1, COUNT + 1))
    assert {len(found[name]) for name in columns} == {COUNT}
    assert (found["classes"], found["control"], found["method"], found["all"]) == (
        ["fruit", "tool", "animal"], "topic", "pca", COUNT
    )  # fmt: skip
    assert found["state"][:60] == ["labeled"] * 60
    queued = {item.task_id for item in played.of(7).rounds.queue(project_of(played).queue)}
    states = dict(zip(found["tasks"], found["state"], strict=True))
    assert {states[task] for task in queued} == {"queue"}
    played.projects.set(7, queue=0)
    assert set(pool.chart(played, project_of(played))["state"][60:]) == {"open", "held out"}
    assert found["given"][3] == 1
    assert set(found["given"][60:]) == {-1}
    assert all(0 <= each <= 1 for each in found["uncertainty"])
    held_out = {each.id for each in played.of(7).tasks.waiting(audit=True)}
    blank = {task for task, each in zip(found["tasks"], found["predicted"], strict=True) if each < 0}
    assert blank == held_out, "their labels must not follow the model"
    right = sum(predicted == place % 3 for place, predicted in enumerate(found["predicted"]))
    assert right > 0.7 * (COUNT - len(held_out))
    shutil.rmtree(played.files.root / "projects/7/map")
    assert pool.chart(played, project_of(played)) == {"tasks": [], "classes": [], "control": None}


def test_a_text_with_what_people_and_the_model_say(played: Store) -> None:
    found = pool.task(played, project_of(played), 4)
    assert found is not None
    assert found["labels"] == {"topic": "tool"}
    assert found["says"]["topic"]["value"] in ("fruit", "tool", "animal")
    (held_out, *_) = played.of(7).tasks.waiting(audit=True)
    blank = pool.task(played, project_of(played), held_out.id)
    assert blank is not None
    assert (blank["held_out"], blank["says"]) == (True, {})
    assert pool.task(played, project_of(played), 10**12) is None


def test_an_excerpt_is_one_line() -> None:
    assert excerpt("a\n\n b\tc") == "a b c"
    assert excerpt("ab " * 400, 10) == "ab ab ab …"


def test_several_controls_of_other_kinds(several: Store) -> None:
    project = project_of(several)
    found = quality(several, project)
    assert {name: each["points"][-1]["metric"] for name, each in found["controls"].items()} == {
        "topics": "micro_f1", "words": "span_f1", "stars": "mae"
    }  # fmt: skip
    assert {name: each["target"] for name, each in found["controls"].items()} == {
        "topics": 0.9, "words": None, "stars": None
    }  # fmt: skip
    counts = labels.classes(several, project)
    assert (counts["topics"], set(counts["words"])) == ({"fruit": 10, "tool": 10}, {"Fruit", "Tool"})
    item = queue(several, project, 1)["tasks"][0]
    said = {each["control"]: each for each in item["why"]["says"]}
    assert set(said) == {"topics", "words", "stars"}
    assert all("between" not in each for each in said.values())
    told = pool.task(several, project, 1)
    assert told is not None
    assert (told["labels"]["topics"], told["labels"]["stars"]) == ("fruit", "1")
    assert "(Fruit)" in told["labels"]["words"]


def test_a_text_of_no_label_is_as_sure_on_the_map_as_where_it_is_pointed_at(several: Store) -> None:
    project = project_of(several)
    found = pool.chart(several, project)
    assert (found["control"], found["classes"]) == ("topics", ["fruit", "tool"])
    blank = {each.id for each in several.of(7).tasks.waiting(audit=True)}
    for row, task in enumerate(found["tasks"]):
        if task in blank:
            continue
        told = pool.task(several, project, task)
        assert told is not None
        said = told["says"]["topics"]
        assert found["uncertainty"][row] == pytest.approx(1 - said["confidence"], abs=1e-3)
        assert (found["predicted"][row] < 0) == (said["value"] == "–")


def test_what_is_gone_from_the_label_config_is_gone_from_the_pages(played: Store) -> None:
    config = project_of(played).label_config
    played.projects.set(7, label_config=config.replace("fruit", "berry"))
    found = pool.chart(played, project_of(played))
    assert found["classes"] == ["berry", "tool", "animal"]
    assert set(found["predicted"]) == {-1, 1, 2}, "the likeliest of those that are left, or of held-out tasks none"
    played.projects.set(7, label_config=config.replace("topic", "subject"))
    assert quality(played, project_of(played))["controls"] == {}
    assert pool.chart(played, project_of(played))["control"] == "subject"


def test_a_round_that_failed_says_nothing_of_the_adapter_in_service(played: Store) -> None:
    before = summary(played, project_of(played))["scores"]
    played.of(7).rounds.begin(4, reason="test", adapter=2)
    evaluation = {"labels": 1, "controls": {"topic": {**before["topic"], "score": 0.123}}}
    played.of(7).rounds.set(4, evaluation=evaluation, state="failed", error="no luck")
    assert summary(played, project_of(played))["scores"] == before
    last = history.history(played, project_of(played), 1)[0]
    assert (last["adapter"], last["scores"], last["error"]) == (None, {}, "no luck")
    adapter = played.of(7).rounds.adapter(2)
    assert adapter is not None
    assert "0.123" not in card(played, project_of(played), adapter)


def test_skipped_tasks_and_ties_wait_for_nobody(played: Store) -> None:
    played.of(7).tasks.put_annotations([(61, {}, False, True), (62, {}, True, False)])
    found = pool.chart(played, project_of(played))
    assert found["state"][60:62] == ["skipped", "skipped"]


def test_ground_truth_that_measures_is_among_the_labels(played: Store) -> None:
    learned = next(each.id for each in played.of(7).tasks.labeled(audit=False))
    mark_truths(played, [learned])
    told = {each["task"]: each for each in map(json.loads, labels.lines(played, project_of(played)))}
    assert len(told) == 60
    assert told[learned]["held_out"]


def test_a_round_of_an_earlier_release_is_shown_without_reliability(played: Store) -> None:
    last = played.of(7).rounds.get(3)
    assert last is not None
    assert last.evaluation is not None
    found = {name: value for name, value in last.evaluation["controls"]["topic"].items() if name != "reliability"}
    evaluation = {**last.evaluation, "controls": {"topic": {**found, "labels": 40, "correct": 30}}}
    played.of(7).rounds.set(3, evaluation=evaluation)
    assert quality(played, project_of(played))["controls"]["topic"]["miscalibrated"] is False

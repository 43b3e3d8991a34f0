"""A project is finished: a sample decides which of the model's labels are taken, written, taken back or withdrawn."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from backend.evaluation.selective import risk_of
from backend.labelstudio.annotations import read
from backend.labelstudio.label_config.parse import parse
from backend.options import ProjectOptions
from backend.overview.export import export
from backend.overview.tasks.finish import finish_state
from backend.rounds.context import spec_of
from backend.rounds.finishing.answers import obstacle, right
from backend.rounds.selection.strategy import strategy_for
from backend.rounds.steps.select import choose
from backend.store import Store
from backend.store.finishes import CANCELLED, CERTIFIED, REFUSED, SAMPLING, TAKEN, TAKEN_BACK, WITHDRAWN, WRITTEN
from backend.store.sql.moving import move
from tests.backend.finishing import COUNT, LABELED, Finishing
from tests.backend.steps import opened
from tests.backend.web.test_ml import CONFIG

CHOICES = '<Choices name="{name}" toName="text" choice="multiple"><Choice value="x"/><Choice value="y"/></Choices>'


def test_the_sample_is_random_blind_and_teaches_nothing_until_it_has_decided(finishing: Finishing) -> None:
    finishing.request()
    tasks = finishing.store.of(7).tasks
    sample = tasks.sampled()
    assert finishing.state() == SAMPLING
    assert 100 < len(sample) < (COUNT - LABELED) // 2
    assert not set(sample) & set(range(1, LABELED + 1))
    assert 0 < len(set(sample) & set(tasks.listed_waiting(audit=False).ids.tolist()) | {0}) == 1, "no strategy sees it"
    before = len(tasks.labeled(audit=False)), len(tasks.labeled(audit=True)), tasks.count_new_labels()
    finishing.label(sample[1:])
    finishing.step()
    assert finishing.state() == SAMPLING, "one label is missing"
    assert (len(tasks.labeled(audit=False)), len(tasks.labeled(audit=True)), tasks.count_new_labels()) == before
    finishing.label(sample[:1])
    finishing.step()
    assert finishing.state() == CERTIFIED
    assert tasks.sampled() == []
    assert tasks.count_new_labels() == before[2] + len(sample), "now it teaches"


def test_what_is_taken_is_right_and_stays_away_from_people(finishing: Finishing) -> None:
    finishing.request()
    mine = finishing.store.of(7)
    finishing.label(mine.tasks.sampled())
    finishing.step()
    last = mine.finishes.last()
    assert last is not None
    expected = last.result["taken"]
    assert expected > 200
    assert mine.finishes.count_given() == 0, "nothing is taken unless somebody wants it"
    finishing.wants("take")
    assert finishing.state() == TAKEN
    given = mine.finishes.given()
    wrong = sum(each.labels != {"topic": finishing.truth[each.task_id]} for each in given)
    assert len(given) == mine.finishes.count_given() == expected
    assert wrong <= last.result["at_most"]
    assert not mine.tasks.open_ones([each.task_id for each in given])
    assert finishing.there.given == {}, "Label Studio has none of them"


def test_a_tab_shows_the_least_certain_of_the_taken_labels(finishing: Finishing) -> None:
    finishing.request(labels=200)
    finishing.label(finishing.store.of(7).tasks.sampled())
    finishing.step()
    assert not finishing.there.shown, "nothing is taken yet"
    finishing.wants("take")
    given = sorted(finishing.store.of(7).finishes.given(), key=lambda each: each.confidence)
    assert [each["task"] for each in finishing.there.shown] == [each.task_id for each in given[:100]]
    assert {each["model_version"] for each in finishing.there.shown} == {"p7-taken"}
    assert finishing.there.shown[0]["result"][0]["value"]["choices"] == [given[0].labels["topic"]]
    (tab,) = finishing.there.tabs
    shown = {each["value"] for each in tab["data"]["filters"]["items"]}
    assert shown == {each.task_id for each in given[:100]}
    finishing.wants("take_back")
    assert finishing.there.shown == []
    assert [each["value"] for each in finishing.there.tabs[0]["data"]["filters"]["items"]] == [0], "no task"


def test_the_queue_begins_with_the_sample_and_has_no_task_of_the_models(finishing: Finishing) -> None:
    def queue() -> list[int]:
        run = opened(finishing.context, number=1, version=1)
        number, _ = choose(run, strategy_for(run, 1), run.spec.targets, run.round)
        return [each.task_id for each in run.rounds.queue(number)]

    finishing.request()
    sample = finishing.store.of(7).tasks.sampled()
    assert set(queue()[: len(sample)]) == set(sample)
    assert set(queue()[len(sample) :])
    finishing.wants("cancel")
    certified(finishing)
    finishing.wants("take")
    given = {each.task_id for each in finishing.store.of(7).finishes.given()}
    assert given
    assert not given & set(queue())


def test_a_wrong_model_takes_nothing(finishing: Finishing) -> None:
    finishing.request()
    tasks = finishing.store.of(7).tasks
    finishing.label(tasks.sampled(), wrong=lambda task: task % 3 == 0)
    finishing.step()
    last = finishing.store.of(7).finishes.last()
    assert last is not None
    assert (last.state, last.result["taken"]) == (REFUSED, 0)
    assert last.error is not None
    assert "wrong on" in last.error


def test_skipped_tasks_of_the_sample_count_as_wrong(finishing: Finishing) -> None:
    finishing.request()
    tasks = finishing.store.of(7).tasks
    sample = tasks.sampled()
    finishing.label(sample[40:])
    tasks.put_annotations([(task, {}, False, True) for task in sample[:40]])
    finishing.step()
    last = finishing.store.of(7).finishes.last()
    assert last is not None
    assert last.result["unlabeled"] == 40
    assert last.result["wrong"] >= 40
    assert last.state == REFUSED


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [({"labels": 20}, "cannot prove"), ({"labels": 380}, "remain"), ({"accuracy": 0.999}, "remain")],
)
def test_a_sample_that_can_prove_nothing_is_refused_in_words(
    finishing: Finishing, wanted: dict[str, float], reason: str
) -> None:
    finishing.request(**wanted)
    last = finishing.store.of(7).finishes.last()
    assert last is not None
    assert last.state == REFUSED
    assert reason in (last.error or "")
    assert finishing.store.of(7).tasks.sampled() == []


def test_a_sample_given_up_frees_its_tasks(finishing: Finishing) -> None:
    finishing.request()
    finishing.wants("cancel")
    assert finishing.state() == CANCELLED
    assert finishing.store.of(7).tasks.sampled() == []


def certified(finishing: Finishing) -> None:
    finishing.request()
    finishing.label(finishing.store.of(7).tasks.sampled())
    finishing.step()


def test_writing_goes_on_where_it_was_killed_and_writes_nothing_twice(finishing: Finishing) -> None:
    certified(finishing)
    finishing.there.fails = lambda call: call == "create" and len(finishing.there.unique) >= 50
    finishing.wants("write")
    mine = finishing.store.of(7)
    last = mine.finishes.last()
    assert last is not None
    assert (last.state, last.wanted, last.error) == (TAKEN, "write", "Label Studio is down"), "the rest is missing"
    lost = mine.finishes.given()[0]
    mine.finishes.written(lost.finish, lost.task_id, None)  # killed between the call and its record
    finishing.there.fails = lambda call: False
    finishing.step()
    last = mine.finishes.last()
    assert last is not None
    assert (last.state, last.wanted, last.error) == (WRITTEN, None, None)
    given = mine.finishes.given()
    assert len(finishing.there.given) == len(given)
    assert {each.annotation for each in given} == set(finishing.there.given)


def test_a_task_that_label_studio_refuses_does_not_keep_the_others(finishing: Finishing) -> None:
    certified(finishing)
    finishing.there.refuses = {
        [each.task_id for each in finishing.store.of(7).finishes.answers(1) if not each.sampled][-1]
    }
    finishing.wants("write")
    last = finishing.store.of(7).finishes.last()
    assert last is not None
    assert last.state == WRITTEN
    assert "refused 1" in (last.error or "")
    assert len(finishing.there.given) == finishing.store.of(7).finishes.count_given() - 1


def test_what_is_requested_while_labels_are_written_is_done_after_it(finishing: Finishing) -> None:
    certified(finishing)
    wishes = iter([True])
    finishing.there.between = lambda: next(wishes, False) and finishing.store.of(7).finishes.wish("take_back") and None
    finishing.wants("write")
    last = finishing.store.of(7).finishes.last()
    assert last is not None
    assert (last.state, last.wanted) == (WRITTEN, "take_back")
    finishing.step()
    assert finishing.state() == TAKEN_BACK
    assert finishing.there.given == {}


def test_what_was_written_is_no_label_of_a_person_until_one_changes_it(finishing: Finishing) -> None:
    certified(finishing)
    finishing.wants("write")
    spec = spec_of(opened(finishing.context).project)
    first, second, third = sorted(finishing.there.given.values(), key=lambda each: each["id"])[:3]
    second["updated_by"] = 2  # confirmed by another user
    third["result"] = [{**third["result"][0], "value": {"choices": ["tool"]}}, *third["result"][1:]]
    if third["result"][0]["value"] == first["result"][0]["value"]:
        third["result"][0]["value"] = {"choices": ["animal"]}
    assert [len(read([each], spec)) for each in (first, second, third)] == [0, 1, 1]
    two = CONFIG.replace("</View>", CHOICES.format(name="other") + "</View>")
    assert read([first], parse(two)) == [], "whatever else the label config has by now"
    assert read([first], parse(CONFIG.replace("topic", "another"))) == []


def test_taking_back_leaves_what_people_changed(finishing: Finishing) -> None:
    certified(finishing)
    finishing.wants("write")
    changed = min(finishing.there.given)
    finishing.there.given[changed]["updated_by"] = 2
    before = finishing.store.of(7).tasks.count_open_tasks()
    taken = finishing.store.of(7).finishes.count_given()
    finishing.wants("take_back")
    assert finishing.state() == TAKEN_BACK
    assert set(finishing.there.given) == {changed}
    assert finishing.store.of(7).finishes.count_given() == 0
    assert finishing.store.of(7).tasks.count_open_tasks() == before + taken


def test_labels_of_all_finishes_are_taken_back(finishing: Finishing) -> None:
    certified(finishing)
    finishing.wants("take")
    mine = finishing.store.of(7)
    mine.tasks.put_texts([(i, f"a pear and an apple {i}") for i in range(1000, 1200)], seed=0, audit_share=0.1)
    finishing.request(accuracy=0.5)
    assert finishing.state() == SAMPLING
    project = finishing.store.projects.get(7)
    assert project is not None
    assert finish_state(finishing.store, project)["possible"] == ["cancel", "take_back"]
    finishing.wants("cancel")
    finishing.wants("take_back")
    assert [each.state for each in mine.finishes.all()] == [TAKEN_BACK, CANCELLED]


def test_people_who_label_proven_tasks_meanwhile_lower_what_is_proven(finishing: Finishing) -> None:
    certified(finishing)
    mine = finishing.store.of(7)
    kept = [each.task_id for each in mine.finishes.answers(1) if not each.sampled]
    finishing.label(kept[: len(kept) // 2])
    finishing.wants("take")
    last = mine.finishes.last()
    assert last is not None
    assert last.result["taken"] == len(kept) - len(kept) // 2
    assert last.result["accuracy"] == pytest.approx(1 - last.result["at_most"] / last.result["taken"])
    assert last.result["accuracy"] < 0.95


def test_a_text_that_changed_gets_no_label_and_counts_as_wrong_in_the_sample(finishing: Finishing) -> None:
    finishing.request()
    mine = finishing.store.of(7)
    sample = mine.tasks.sampled()
    others = [each.task_id for each in mine.finishes.answers(1) if not each.sampled]
    mine.tasks.put_texts([(others[0], "another text"), (sample[0], "another text")], seed=0, audit_share=0.1)
    finishing.label(sample)
    finishing.step()
    last = mine.finishes.last()
    assert last is not None
    assert last.result["wrong"] >= 1
    finishing.wants("take")
    assert others[0] not in {each.task_id for each in mine.finishes.given()}


def test_a_deleted_task_of_the_sample_counts_as_wrong(finishing: Finishing) -> None:
    finishing.request()
    mine = finishing.store.of(7)
    sample = mine.tasks.sampled()
    finishing.label(sample[40:])
    mine.tasks.keep_only({task.id for task in mine.tasks.every()} - set(sample[:40]))
    finishing.step()
    last = mine.finishes.last()
    assert last is not None
    assert last.result["wrong"] >= 40
    assert last.state == REFUSED


def test_a_changed_label_config_ends_it_in_words(finishing: Finishing) -> None:
    finishing.request()
    finishing.store.projects.set(7, label_config=CONFIG.replace("</Choices>", '<Choice value="plant"/></Choices>'))
    finishing.step()
    last = finishing.store.of(7).finishes.last()
    assert last is not None
    assert last.state == REFUSED
    assert "label config changed" in (last.error or "")
    assert finishing.store.of(7).tasks.sampled() == []


def test_the_sample_is_published_again_if_the_first_try_failed(finishing: Finishing) -> None:
    finishing.there.fails = lambda call: call == "publish"
    finishing.request()
    assert finishing.state() == SAMPLING
    assert finishing.there.published == []
    finishing.there.fails = lambda call: False
    finishing.step()
    sample = finishing.store.of(7).tasks.sampled()
    first = sorted(finishing.there.published, key=lambda each: each["score"])[: len(sample)]
    assert {each["task"] for each in first} == set(sample)
    assert all(each["result"] == [] for each in first)


def test_requests_that_draw_no_sample_take_no_risk(finishing: Finishing) -> None:
    finishing.request(labels=5)
    assert finishing.state() == REFUSED
    finishing.request()
    last = finishing.store.of(7).finishes.last()
    assert last is not None
    assert last.result["risk"] == risk_of(1)
    assert finishing.store.of(7).finishes.request(accuracy=0.9, scope="machine") is None, "one at a time"


def test_the_guarantee_is_withdrawn_aloud_when_people_change_more_than_it_allows(finishing: Finishing) -> None:
    told: list[str] = []
    finishing.context = replace(finishing.context, notify=lambda text: not told.append(text))
    certified(finishing)
    finishing.wants("take")
    mine = finishing.store.of(7)
    given = [each.task_id for each in mine.finishes.given()]
    last = mine.finishes.last()
    assert last is not None
    most = last.result["at_most"]
    finishing.label(given[:most], wrong=lambda task: True)
    finishing.step()
    assert finishing.state() == TAKEN, "so many may be wrong"
    finishing.label(given[most : most + 1], wrong=lambda task: True)
    finishing.step()
    assert finishing.state() == WITHDRAWN
    assert len(told) == 1
    assert "withdrawn" in told[0]
    finishing.step()
    assert len(told) == 1


def test_held_out_scores_do_not_use_the_sample(finishing: Finishing) -> None:
    finishing.request()
    mine = finishing.store.of(7)
    held_out = [task for task, each in mine.tasks.placed(mine.tasks.sampled()).items() if each.audit]
    assert held_out, "the sample is of all remaining tasks"
    before = len(mine.tasks.labeled(audit=True))
    finishing.label(held_out)
    assert len(mine.tasks.labeled(audit=True)) == before


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ('<View><Text name="t" value="$text"/><TextArea name="note" toName="t"/></View>', "written text"),
        (CONFIG, None),
        (
            '<View><Text name="t" value="$text"/><Labels name="l" toName="t"><Label value="A"/></Labels>'
            '<Choices name="c" toName="t" perRegion="true"><Choice value="x"/><Choice value="y"/></Choices></View>',
            "marked span",
        ),
    ],
)
def test_kinds_that_no_comparison_proves_are_refused_in_words(config: str, reason: str | None) -> None:
    found = obstacle(parse(config, ()), ProjectOptions())  # type: ignore[call-arg]
    assert (found is None) if reason is None else (found is not None and reason in found)


def test_numbers_are_right_within_the_tolerance() -> None:
    spec = parse('<View><Text name="t" value="$text"/><Rating name="r" toName="t" maxRating="5"/></View>', ())
    assert right(spec, {"r": 3.0}, {"r": 4.0}, 1.0)
    assert not right(spec, {"r": 3.0}, {"r": 4.0}, 0.5)
    assert not right(spec, {"r": 3.0}, {}, 5.0), "a task without the label is not right"


def test_all_of_it_on_postgresql(finishing: Finishing, new_database: Callable[[], str]) -> None:
    folder, url = finishing.store.files.root, new_database()
    finishing.store.database.close()
    move(folder, url)
    store = Store(folder, url)
    finishing.context = replace(finishing.context, store=store)
    certified(finishing)
    finishing.wants("take")
    finishing.wants("write")
    given = store.of(7).finishes.given()
    assert len(given) == len(finishing.there.given) > 200
    assert finish_state(store, store.projects.known(7))["taken"] == len(given)
    labels = [json.loads(line) for line in b"".join(export(store, store.projects.known(7), "jsonl")).splitlines()]
    assert sum(each["by"] == "model" for each in labels) == len(given)
    finishing.wants("take_back")
    assert finishing.state() == TAKEN_BACK
    assert finishing.there.given == {}
    assert store.of(7).finishes.count_given() == 0
    store.database.close()

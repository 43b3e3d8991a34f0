"""A project is finished: a sample decides which of the model's labels are taken, written, taken back or withdrawn."""

from __future__ import annotations

import pytest

from backend.labelstudio.annotations import read
from backend.labelstudio.label_config.parse import parse
from backend.rounds.context import spec_of
from backend.rounds.finishing.answers import obstacle, right
from backend.rounds.finishing.ours import without_ours
from backend.rounds.selection.strategy import strategy_for
from backend.rounds.steps.select import choose
from backend.store.finishes import CANCELLED, CERTIFIED, REFUSED, SAMPLING, TAKEN, TAKEN_BACK, WITHDRAWN, WRITTEN
from tests.backend.finishing import COUNT, LABELED, Finishing
from tests.backend.steps import opened
from tests.backend.web.test_ml import CONFIG


def test_the_sample_is_random_blind_and_teaches_nothing_until_it_has_decided(finishing: Finishing) -> None:
    finishing.request()
    tasks = finishing.store.of(7).tasks
    sample = tasks.sampled()
    assert finishing.state() == SAMPLING
    assert len(sample) == (COUNT - LABELED) // 3
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
    finishing.there.most = 50
    finishing.wants("write")
    mine = finishing.store.of(7)
    assert finishing.state() == TAKEN, "the rest is missing"
    lost = mine.finishes.given()[0]
    mine.finishes.written(lost.finish, lost.task_id, None)  # killed between the call and its record
    finishing.there.most = 10**9
    finishing.step()
    assert finishing.state() == WRITTEN
    given = mine.finishes.given()
    assert len(finishing.there.given) == len(given)
    assert {each.annotation for each in given} == set(finishing.there.given)


def test_what_was_written_is_no_label_of_a_person_until_one_changes_it(finishing: Finishing) -> None:
    certified(finishing)
    finishing.wants("write")
    run = opened(finishing.context)
    spec = spec_of(run.project)
    first, second, third = sorted(finishing.there.given.values(), key=lambda each: each["id"])[:3]
    second["updated_by"] = 2  # confirmed by another user
    third["result"] = [{**third["result"][0], "value": {"choices": ["another"]}}]
    read_now = {each["task"]: read([each], spec) for each in (first, second, third)}
    kept = without_ours(run, read_now)
    assert [len(kept[each["task"]]) for each in (first, second, third)] == [0, 1, 1]


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


def test_the_guarantee_is_withdrawn_aloud_when_people_disagree(finishing: Finishing) -> None:
    told: list[str] = []
    finishing.context = type(finishing.context)(
        **{**vars(finishing.context), "notify": lambda text: not told.append(text)}
    )
    certified(finishing)
    finishing.wants("take")
    given = [each.task_id for each in finishing.store.of(7).finishes.given()]
    finishing.label(given[:20])
    finishing.step()
    assert finishing.state() == TAKEN
    finishing.label(given[20:40], wrong=lambda task: True)
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
    found = obstacle(parse(config, ()))
    assert (found is None) if reason is None else (found is not None and reason in found)


def test_numbers_are_right_within_the_tolerance() -> None:
    spec = parse('<View><Text name="t" value="$text"/><Rating name="r" toName="t" maxRating="5"/></View>', ())
    assert right(spec, {"r": 3.0}, {"r": 4.0}, 1.0)
    assert not right(spec, {"r": 3.0}, {"r": 4.0}, 0.5)
    assert not right(spec, {"r": 3.0}, {}, 5.0), "a task without the label is not right"

"""An accuracy of each class by itself: the classes share the risk, and one that cannot be proven goes to people."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from backend.evaluation.selective import RISK, largest
from backend.labelstudio.label_config.parse import parse
from backend.overview.tasks.finish import finish_state
from backend.rounds import commands
from backend.rounds.commands import CommandError
from backend.rounds.finishing.groups import obstacle_to_classes, prove
from backend.store.finishes import CERTIFIED, CLASS, MACHINE, REFUSED, TAKEN, Answer
from backend.web.dashboard.finish_sentences import summary
from backend.web.dashboard.language import Language
from tests.backend.finishing import Finishing
from tests.backend.played import project_of
from tests.backend.web.test_ml import CONFIG

SEVERAL = '<View><Text name="text" value="$text"/>{}</View>'
RATING = '<Rating name="stars" toName="text"/>'


def answers(rng: np.random.Generator, count: int, names: str) -> list[Answer]:
    return [
        Answer(task, float(confidence), {"topic": str(name)}, task)
        for task, (confidence, name) in enumerate(
            zip(rng.random(count), rng.choice(list(names), size=count), strict=True)
        )
    ]


def proven(found: list[Answer], scope: str, sample: Any, wrong: Any) -> tuple[list[Any], list[Answer]]:
    free = np.ones(len(found), bool)
    free[sample] = False
    return prove(scope, found, sample, wrong, free, 0.9, RISK, of=None, spent=0)


def test_one_class_is_proven_as_the_whole_is() -> None:
    rng = np.random.default_rng(0)
    found, sample = answers(rng, 400, "a"), rng.permutation(400)[:150]
    wrong = np.array([found[row].confidence < 0.15 for row in sample])
    (of_all,), taken = proven(found, MACHINE, sample, wrong)
    (of_class,), same = proven(found, CLASS, sample, wrong)
    assert (of_all._replace(name="a"), taken) == (of_class, same)
    assert of_all.taken == len(taken) > 100
    assert [each.confidence for each in taken] == sorted((each.confidence for each in taken), reverse=True)


def test_each_class_is_proven_by_its_own_part_of_the_sample_at_its_share_of_the_risk() -> None:
    rng = np.random.default_rng(1)
    found, sample = answers(rng, 900, "abc"), np.sort(rng.permutation(900)[:400])
    names = np.array([each.labels["topic"] for each in found])
    wrong = (names[sample] == "c") & (rng.random(400) < 0.5)
    groups, taken = proven(found, CLASS, sample, wrong)
    assert [each.name for each in groups] == ["a", "b", "c"]
    assert groups[2].taken == 0, "it is wrong too often"
    assert {each.labels["topic"] for each in taken} == {"a", "b"}
    rows = np.flatnonzero(names == "a")
    mine = np.isin(sample, rows)
    alone = largest(
        np.array([found[row].confidence for row in rows]), np.searchsorted(rows, sample[mine]), wrong[mine],
        ~np.isin(rows, sample), 0.9, RISK / 3, of=None,
    )  # fmt: skip
    assert (groups[0].sampled, groups[0].wrong) == (alone.sampled, alone.wrong)
    assert sum(each.taken for each in groups) == len(taken)


def test_no_class_has_more_wrong_labels_than_stated_more_often_than_the_risk() -> None:
    """In projects whose classes differ in size and difficulty; the error of the simulation is allowed for."""
    broken, projects = 0, 300
    for seed in range(projects):
        rng = np.random.default_rng(seed)
        found = answers(rng, 600, "aaab")
        confidence = np.array([each.confidence for each in found])
        hard = np.array([each.labels["topic"] == "b" for each in found])
        is_wrong = rng.random(600) < np.where(hard, 0.5, 0.25) * (1 - confidence)
        sample = np.sort(rng.permutation(600)[:250])
        groups, taken = proven(found, CLASS, sample, is_wrong[sample])
        for group in groups:
            mine = [each for each in taken if each.labels["topic"] == group.name]
            if sum(is_wrong[each.task_id] for each in mine) > group.at_most:
                broken += 1
                break
    assert broken / projects <= RISK + 3 * np.sqrt(RISK * (1 - RISK) / projects)


@pytest.mark.parametrize(
    ("controls", "possible"),
    [
        (CONFIG, True),
        (SEVERAL.format(RATING), False),
        (CONFIG.replace("</View>", RATING + "</View>"), False),
        (CONFIG.replace('<Choices name="topic"', '<Choices choice="multiple" name="topic"'), False),
    ],
)
def test_it_needs_one_choice_and_nothing_else(controls: str, possible: bool) -> None:
    spec = parse(controls)
    assert obstacle_to_classes(spec, MACHINE) is None
    assert (obstacle_to_classes(spec, CLASS) is None) == possible


def test_a_project_is_finished_class_by_class(finishing: Finishing) -> None:
    commands.finish(finishing.store, 7, accuracy=0.85, scope=CLASS)
    finishing.step()
    mine = finishing.store.of(7)
    finishing.label(mine.tasks.sampled(), wrong=lambda task: finishing.truth[task] == "tool")
    finishing.step()
    found = finish_state(finishing.store, project_of(finishing.store))
    assert (found["state"], found["by_class"]) == (CERTIFIED, True)
    assert found["decided"] is not None
    classes = {each["name"]: each for each in found["decided"]["classes"]}
    assert set(classes) == {"fruit", "tool", "animal"}
    assert classes["tool"]["taken"] == 0, "people call tools something else"
    assert classes["fruit"]["taken"] > 20
    assert sum(each["taken"] for each in classes.values()) == found["decided"]["taken"]
    assert "of the labels of each class" in " ".join(summary(found, Language("en")))

    finishing.label([next(each.task_id for each in mine.finishes.answers(1) if not each.sampled)])
    finishing.wants("take")
    assert finishing.state() == TAKEN
    given = mine.finishes.given()
    assert {each.labels["topic"] for each in given} == {"fruit", "animal"}
    after = finish_state(finishing.store, project_of(finishing.store))["decided"]
    assert after is not None
    assert sum(each["taken"] for each in after["classes"]) == after["taken"] == len(given)


def test_it_is_refused_where_no_class_can_be_proven(finishing: Finishing) -> None:
    commands.finish(finishing.store, 7, accuracy=0.98, scope=CLASS)
    finishing.step()
    assert finishing.state() == REFUSED, "a third of the tasks is too few for each"
    finishing.store.projects.set(7, label_config=CONFIG.replace("</View>", RATING + "</View>"))
    with pytest.raises(CommandError, match="single control"):
        commands.finish(finishing.store, 7, accuracy=0.85, scope=CLASS)

"""Finishing a project, as shown: the sample, what it proves, and what became of the model's labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from backend.evaluation.selective import least
from backend.overview.tasks.queue import excerpt
from backend.rounds.context import options_of, spec_of
from backend.rounds.finishing.answers import obstacle
from backend.rounds.finishing.groups import obstacle_to_classes
from backend.rounds.finishing.sample import default_labels, next_risk
from backend.rounds.insights.explanations import in_words
from backend.store import Store
from backend.store.finishes import CLASS, IN_FORCE, SAMPLING, TAKE_BACK, possible
from backend.store.sql.models import Finish, Project

ACCURACIES = (0.8, 0.9, 0.95, 0.98, 0.99)  # offered on the page


class SampleSize(TypedDict):
    """How many random tasks people would label to test the model's labels."""

    accuracy: float
    fewest: Annotated[int | None, Field(description="Enough if the model is right on each; null: too few tasks remain")]
    labels: Annotated[int | None, Field(description="By default, so that a few may be wrong")]
    whole: Annotated[int | None, Field(description="The same for an accuracy of all tasks, where people are right")]


class Sample(TypedDict):
    """The sample that was drawn."""

    labels: int
    labeled: int
    wrong: Annotated[int | None, Field(description="Tasks with another label than the model's; null: not decided yet")]
    unlabeled: Annotated[int, Field(description="Skipped, or annotators disagree; they count as wrong")]


class Later(TypedDict):
    """Labels of people on tasks that have the model's label."""

    labels: int
    wrong: int


class OfClass(TypedDict):
    """What the sample proves of the model's labels of one class."""

    name: str
    answers: Annotated[int, Field(description="Labels of this class that the model would give")]
    taken: Annotated[int, Field(description="Of these, labels that can be taken, or are taken")]
    sampled: Annotated[int, Field(description="Labels of the sample on tasks that are as certain")]
    wrong: Annotated[int, Field(description="Of these, the model was wrong on")]
    at_most: Annotated[
        int, Field(description="Wrong ones among the taken, with 95 % confidence for all classes together")
    ]


class Decided(TypedDict):
    """What the sample proves."""

    accuracy: Annotated[float, Field(description="Proven; lower than requested if people labeled proven tasks before "
                                                 "the others were taken")]  # fmt: skip
    taken: Annotated[int, Field(description="Labels of the model that can be taken, or are taken")]
    at_most: Annotated[int, Field(description="Wrong ones among them, with 95 % confidence")]
    expected: Annotated[float, Field(description="Wrong ones among them, by the sample alone")]
    sampled: Annotated[int, Field(description="Labels of the sample on tasks that are as certain")]
    sampled_wrong: int
    curve: Annotated[
        list[tuple[float, int]],
        Field(description="Labels that could be taken at other accuracies; a guarantee needs a sample drawn for it"),
    ]
    classes: Annotated[list[OfClass], Field(description="By class, if the accuracy is meant of each; else empty")]
    doubtful: Annotated[list[int], Field(description="Tasks whose labels would be taken with the least confidence")]


class Example(TypedDict):
    """A label of the model."""

    task: int
    text: Annotated[str, Field(description="Start of the text")]
    label: str
    confidence: float


class FinishState(TypedDict):
    """The newest finish of a project, and what can be requested now."""

    state: Annotated[
        str | None,
        Field(description="requested, sampling, certified, refused, taken, written, withdrawn, taken back or "
                          "cancelled; null: none yet"),
    ]  # fmt: skip
    pending: Annotated[str | None, Field(description="A request that the worker has not carried out yet")]
    possible: Annotated[list[str], Field(description="Requests that can be made now")]
    obstacle: Annotated[str | None, Field(description="Why the model cannot label the rest of this project")]
    by_class: Annotated[bool, Field(description="Whether an accuracy of each class can be requested")]
    remaining: Annotated[int, Field(description="Tasks without a label of a person or of the model")]
    taken: Annotated[int, Field(description="Tasks with a label of the model, of all finishes")]
    sizes: list[SampleSize]
    accuracy: float | None
    scope: Annotated[str | None, Field(description="machine, class or whole: what has the accuracy")]
    tolerance: float
    adapter: int | None
    sample: Sample | None
    decided: Decided | None
    later: Later
    error: str | None


def finish_state(store: Store, project: Project) -> FinishState:
    """The newest finish."""
    mine = store.of(project.id)
    last = mine.finishes.last()
    remaining = mine.tasks.count_open_tasks()
    return {
        "state": last.state if last else None,
        "pending": last.wanted if last else None,
        "possible": [] if last is None or last.wanted else _possible(mine.finishes.all()),
        "obstacle": obstacle(spec_of(project), options_of(project)),
        "by_class": obstacle_to_classes(spec_of(project), CLASS) is None,
        "remaining": remaining,
        "taken": mine.finishes.count_given(),
        "sizes": _sizes(next_risk(mine.finishes), remaining, mine.tasks.count_labelable()),
        "accuracy": last.accuracy if last else None,
        "scope": last.scope if last else None,
        "tolerance": last.tolerance if last else 0.0,
        "adapter": (last.adapter or None) if last else None,
        "sample": _sample(store, project, last) if last else None,
        "decided": _decided(last) if last else None,
        "later": last.result.get("later", {"labels": 0, "wrong": 0}) if last else {"labels": 0, "wrong": 0},
        "error": last.error if last else None,
    }  # fmt: skip


def _possible(finishes: Sequence[Finish]) -> list[str]:
    """What can be requested: of the newest finish, and to take back the labels of any."""
    found = possible(finishes[-1].state)
    in_force = any(each.state in IN_FORCE for each in finishes)
    return [*found, TAKE_BACK] if in_force and TAKE_BACK not in found else found


def doubtful(store: Store, project: Project) -> list[Example]:
    """The labels that are, or would be, taken with the least confidence; the least first."""
    mine = store.of(project.id)
    last = mine.finishes.last()
    wanted = last.result.get("doubtful", [])[::-1] if last else []
    if last is None or not wanted:
        return []
    texts = mine.tasks.texts(wanted)
    answers = {each.task_id: each for each in mine.finishes.answers(last.number, to=wanted)}
    return [
        {
            "task": task,
            "text": excerpt(texts[task].text),
            "label": "; ".join(in_words(value, texts[task].text) or "" for value in answers[task].labels.values()),
            "confidence": answers[task].confidence,
        }
        for task in wanted
        if task in texts and task in answers
    ]


def _sizes(risk: float, remaining: int, of: int) -> list[SampleSize]:
    """of: number of all tasks, for an accuracy of the whole project."""
    found: list[SampleSize] = []
    for each in ACCURACIES:
        fewest, of_whole = least(each, risk, remaining), least(each, risk, remaining, of)
        labels, whole = (few and default_labels(few, remaining) for few in (fewest, of_whole))
        found.append({"accuracy": each, "fewest": fewest, "labels": labels, "whole": whole})
    return found


def _sample(store: Store, project: Project, last: Finish) -> Sample | None:
    if "remaining" not in last.result:
        return None
    labels = last.labels or 0
    waiting = len(store.of(project.id).tasks.sampled(unlabeled=True)) if last.state == SAMPLING else 0
    return {
        "labels": labels,
        "labeled": labels - waiting,
        "wrong": last.result.get("wrong"),
        "unlabeled": last.result.get("unlabeled", 0),
    }


def _decided(last: Finish) -> Decided | None:
    if "part" not in last.result:
        return None
    part, taken = last.result["part"], last.result["taken"]
    return {
        "accuracy": last.result["accuracy"],
        "taken": taken,
        "at_most": last.result["at_most"],
        "expected": taken * part["wrong"] / part["sampled"] if part["sampled"] else 0.0,
        "sampled": part["sampled"],
        "sampled_wrong": part["wrong"],
        "curve": [(accuracy, count) for accuracy, count in last.result["curve"]],
        "classes": _classes(last),
        "doubtful": last.result["doubtful"],
    }


def _classes(last: Finish) -> list[OfClass]:
    groups: list[OfClass] = last.result.get("groups", [])
    return [each for each in groups if each["name"] is not None]

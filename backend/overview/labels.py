"""The labels: counts by class, annotators and their agreement, labels to check, and an export."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict

from backend.overview.tasks.queue import excerpt
from backend.rounds.context import spec_of
from backend.rounds.insights.label_errors import still_suspect
from backend.store import Store
from backend.store.sql.models import Project


class Annotator(TypedDict):
    """The work of one annotator."""

    annotator: Annotated[int | None, Field(description="User ID in Label Studio. Null: unknown")]
    name: Annotated[str | None, Field(description="In Label Studio. Null: unknown")]
    annotations: int
    skipped: int
    seconds_each: Annotated[float | None, Field(description="Mean duration of an annotation or a skip. Null: unknown")]
    compared: Annotated[int, Field(description="Values on tasks with a majority of other annotators")]
    disagrees: Annotated[int, Field(description="Compared values that differ from that majority")]
    weights: Annotated[
        dict[str, float],
        Field(description="By control of single choices: how much a label counts on tasks with several annotators"),
    ]


class Agreement(TypedDict):
    """How well annotators agree on one control."""

    tasks: Annotated[int, Field(description="Tasks labeled by two annotators or more")]
    share: Annotated[float, Field(description="Mean share of pairs of annotations of a task that agree")]
    alpha: Annotated[float | None, Field(description="Krippendorff's alpha. Null: all values are the same")]


class SecondOpinions(TypedDict):
    """Labeled tasks that another annotator labels again."""

    waiting: Annotated[int, Field(description="Tasks in the queue")]
    given: int
    changed: Annotated[int, Field(description="Of the given ones, those after which the task's label is another")]


class Annotators(TypedDict):
    """The annotators of a project and their agreement."""

    annotators: list[Annotator]
    agreement: Annotated[dict[str, Agreement], Field(description="By control")]
    second_opinions: SecondOpinions
    hours: Annotated[float, Field(description="Labeling time of all annotators")]


class Errors(TypedDict):
    """How many labels of a control are wrong, with the 95 % interval."""

    labels: Annotated[int, Field(description="Labels that were compared with a model's predictions")]
    number: float
    low: float
    high: float


class Suspect(TypedDict):
    """A label that is rather wrong than right."""

    task: int
    control: str
    given: Annotated[str, Field(description="Class given by annotators")]
    instead: Annotated[str | None, Field(description="Most probable class. Null: held out")]
    quality: Annotated[float, Field(description="Probability that the label is right")]
    text: Annotated[str, Field(description="Start of the text")]


def classes(store: Store, project: Project) -> dict[str, dict[str, int]]:
    """Number of labeled tasks by control and class. A task with several regions of a class counts once."""
    labels = store.of(project.id).tasks.labels()
    found = {}
    for target in spec_of(project).targets:
        if target.classes:
            counts = Counter(name for each in labels if target.name in each for name in _named(each[target.name]))
            found[target.name] = {name: counts[name] for name in target.classes}
    return found


def _named(value: Any) -> set[str]:
    """The classes in a label: one, several, or those of its spans."""
    if isinstance(value, list):
        return {each if isinstance(each, str) else str(each[2]) for each in value}
    return {str(value)}


def annotators(store: Store, project: Project) -> Annotators:
    """By annotator: annotations, time, and disagreements with the majority of the others. By control: agreement."""
    agreed = {
        name: each["agreement"]
        for name, each in (store.of(project.id).rounds.last("review") or {}).items()
        if "agreement" in each
    }
    opinions = store.of(project.id).second_opinions.summary()
    people: list[Annotator] = []
    for annotator, annotated, skipped, timed, seconds in store.of(project.id).annotations.by_annotator():
        compared = [each["annotators"].get(str(annotator), {}) for each in agreed.values()]
        people.append(
            {
                "annotator": annotator,
                "name": project.annotators.get(str(annotator)) or None,
                "annotations": annotated,
                "skipped": skipped,
                "seconds_each": seconds / timed if timed else None,
                "compared": sum(each.get("compared", 0) for each in compared),
                "disagrees": sum(each.get("disagrees", 0) for each in compared),
                "weights": {
                    control: weights[str(annotator)]
                    for control, weights in project.trust.items()
                    if str(annotator) in weights
                },
            }
        )
    return {
        "annotators": people,
        "agreement": {
            name: {"tasks": each["tasks"], "share": each["share"], "alpha": each["alpha"]}
            for name, each in agreed.items()
        },
        "second_opinions": {"waiting": opinions.waiting, "given": opinions.given, "changed": opinions.changed},
        "hours": store.of(project.id).annotations.hours(),
    }


def suspects(store: Store, project: Project, most: int) -> list[Suspect]:
    """Labels to check, the worst first, without labels changed since. Empty before the first review."""
    found = still_suspect(store, project.id, most)
    ids = [each["task"] for each in found]
    texts, placed = store.of(project.id).tasks.texts(ids), store.of(project.id).tasks.placed(ids)
    return [
        {
            "task": each["task"],
            "control": each["control"],
            "given": each["given"],
            "instead": None if placed[each["task"]].audit else each["instead"],
            "quality": each["quality"],
            "text": excerpt(texts[each["task"]].text),
        }
        for each in found
        if each["task"] in texts
    ]


def count_suspects(store: Store, project: Project) -> int:
    """All labels to check, without labels changed since."""
    return len(still_suspect(store, project.id, None))


def errors(store: Store, project: Project) -> dict[str, Errors]:
    """The estimated number of wrong labels at the last review, by control that the label config still has."""
    last, names = store.of(project.id).rounds.last("review") or {}, {target.name for target in spec_of(project).targets}
    return {name: each["errors"] for name, each in last.items() if "errors" in each and name in names}


def lines(store: Store, project: Project) -> Iterator[str]:
    """Every task that people labeled as a line of JSON. `held_out`: it measures or tests the model."""
    for each, held_out in store.of(project.id).tasks.all_labeled():
        row = {"task": each.id, "text": each.text, "labels": each.values, "held_out": held_out}
        yield json.dumps(row, ensure_ascii=False) + "\n"

"""The map of the pool, and a single text of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NotRequired

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from typing_extensions import TypedDict

from backend.evaluation.calibration import tempered, two_sided
from backend.labelstudio.controls import BY_KIND
from backend.labelstudio.predictions import output_of
from backend.learners.kinds import output_names
from backend.overview.tasks.queue import excerpt
from backend.rounds.adapters import learned
from backend.rounds.context import spec_of
from backend.rounds.insights.explanations import in_words
from backend.store import Store
from backend.store.sql.models import Project
from backend.store.texts import Placed
from backend.targets import Target

_NAMED = ("classification", "multilabel", "pairwise")  # kinds whose texts have a most likely class
_DIGITS = 3

TaskState = Literal["open", "held out", "queue", "labeled", "skipped", "taken"]
_Classes = Annotated[list[int], Field(description="Positions in `classes`. -1: none, or not known")]


class Map(TypedDict):
    """The map of the pool: columns with one row per text. Only the required columns before the first map."""

    tasks: list[int]
    x: NotRequired[list[float]]
    y: NotRequired[list[float]]
    state: NotRequired[list[TaskState]]
    given: NotRequired[_Classes]
    predicted: NotRequired[_Classes]
    uncertainty: NotRequired[Annotated[list[float | None], Field(description="0 to 1. Null: not scored")]]
    classes: list[str]
    control: Annotated[str | None, Field(description="The first control with classes")]
    method: NotRequired[Annotated[str, Field(description="Of the dimension reduction: `pca` or `umap`")]]
    all: NotRequired[Annotated[int, Field(description="Tasks of the project")]]


class Said(TypedDict):
    """The prediction for one control."""

    value: Annotated[str | None, Field(description="The value in one line")]
    confidence: float | None


class Text(TypedDict):
    """A task with its labels and the model's predictions, by control."""

    task: int
    text: Annotated[str, Field(description="Start of the text")]
    held_out: bool
    labels: dict[str, str | None]
    says: Annotated[
        dict[str, Said],
        Field(description="Predictions. Empty unless the text is scored, and where the label must not follow them"),
    ]


def chart(store: Store, project: Project) -> Map:
    """Columns of N texts: `tasks`, `x`, `y`, `state`, `given`, `predicted` and `uncertainty`.

    `state` is open, held out, queue, labeled, or skipped (also if annotators disagree). `given` and `predicted` are
    indices into `classes`, the classes of the first control that has any. Unknown values are −1, or None for
    `uncertainty`.
    """
    arrays = store.files.map(project.id)
    if arrays is None:
        return {"tasks": [], "classes": [], "control": None}
    known = store.of(project.id).tasks.placed(arrays["tasks"].tolist())
    rows = [row for row, task in enumerate(arrays["tasks"].tolist()) if task in known]
    tasks, places = arrays["tasks"][rows].tolist(), arrays["places"][rows]
    target = next((each for each in spec_of(project).targets if each.classes), None)
    queued = {item.task_id for item in store.of(project.id).rounds.queue(project.queue)}
    digests = [known[task].digest for task in tasks]
    predicted, uncertainty = _predicted(store, project, target, digests)
    blank = _blank(store, project, known)
    predicted = [-1 if task in blank else found for task, found in zip(tasks, predicted, strict=True)]
    return {
        "tasks": tasks,
        "x": np.round(places[:, 0], _DIGITS).tolist(),
        "y": np.round(places[:, 1], _DIGITS).tolist(),
        "state": [_state(known[task], queued=task in queued) for task in tasks],
        "given": [_place(target, known[task].labels or {}) for task in tasks],
        "predicted": predicted,
        "uncertainty": uncertainty,
        "classes": list(target.classes) if target is not None else [],
        "control": target.name if target is not None else None,
        "method": arrays["method"].tobytes().decode().partition("\n")[0],
        "all": store.of(project.id).tasks.count(),
    }


def task(store: Store, project: Project, task_id: int) -> Text | None:
    """One text with its labels and predictions; None if there is no such task."""
    known = store.of(project.id).tasks.placed([task_id]).get(task_id)
    if known is None:
        return None
    text = store.of(project.id).tasks.texts([task_id])[task_id].text
    digest, held_out, _, labels, _ = known
    given = {name: in_words(value, text) for name, value in (labels or {}).items()}
    found: Text = {"task": task_id, "text": excerpt(text), "held_out": held_out, "labels": given, "says": {}}
    adapter = store.of(project.id).rounds.adapter(project.adapter)
    if adapter is None or _blank(store, project, {task_id: known}):
        return found
    scores = store.files.scores(project.id, project.adapter, project.head)
    there, arrays = scores.found(output_names(learned(adapter)), [digest])
    if not there[0]:
        return found
    controls = {control.name: control for control in spec_of(project).controls}
    for target in learned(adapter):
        control = controls.get(target.name)
        if control is not None and control.target.kind == target.kind:
            value, sure = BY_KIND[target.kind].predicted(control, target, output_of(target, arrays, 0), text)
            found["says"][target.name] = {"value": in_words(value, text), "confidence": sure}
    return found


def _predicted(
    store: Store, project: Project, target: Target | None, digests: list[int]
) -> tuple[list[int], list[float | None]]:
    """The most likely class of each text, and the uncertainty of that prediction, from 0 to 1."""
    nothing: tuple[list[int], list[float | None]] = [-1] * len(digests), [None] * len(digests)
    adapter = store.of(project.id).rounds.adapter(project.adapter)
    if adapter is None or target is None or target.kind not in _NAMED:
        return nothing
    name = f"{target.name}/probs"
    trained = next((each for each in learned(adapter) if (each.name, each.kind) == (target.name, target.kind)), None)
    kept = [each in target.classes for each in trained.classes] if trained is not None else []
    there, arrays = store.files.scores(project.id, project.adapter, project.head).found([name], digests)
    if trained is None or not any(kept) or not there.any():
        return nothing
    likeliest, sure = _decided(trained, arrays[name][:, kept])
    classes = np.array([target.classes.index(each) for each in trained.classes if each in target.classes])
    predicted = np.full(len(there), -1)
    predicted[there] = np.where(likeliest < 0, -1, classes[likeliest])
    unsure = iter(np.round(1 - sure, _DIGITS).tolist())
    return predicted.tolist(), [next(unsure) if is_there else None for is_there in there]


def _decided(trained: Target, probs: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The most likely class of each text, −1 if no class is predicted, and its confidence, as in `/predict`.

    probs: (N, C).
    """
    likeliest = probs.argmax(axis=1)
    if trained.kind != "multilabel":
        return likeliest, tempered(probs, trained.temperature).max(axis=1)
    there, absent = np.moveaxis(tempered(two_sided(probs), trained.temperature), -1, 0)
    shown = probs >= trained.threshold
    return np.where(shown.any(axis=1), likeliest, -1), np.where(shown, there, absent).min(axis=1)


def _blank(store: Store, project: Project, known: Mapping[int, Placed]) -> set[int]:
    """The tasks without a label whose label must not follow the model: held-out ones, and those of a sample."""
    sampled = set(store.of(project.id).tasks.sampled())
    return {task for task, each in known.items() if not each.labels and (each.audit or task in sampled)}


def _state(known: Placed, *, queued: bool) -> TaskState:
    if known.labels:
        return "labeled"
    if known.done:
        return "skipped"
    if known.taken:
        return "taken"
    return "queue" if queued else "held out" if known.audit else "open"


def _place(target: Target | None, labels: dict[str, Any]) -> int:
    """Index of the labeled class, the first of several; −1 if there is none."""
    value = labels.get(target.name) if target is not None else None
    first = next(iter(value), None) if isinstance(value, list) else value
    name = first if isinstance(first, str) or first is None else first[2]
    return target.classes.index(name) if target is not None and name in target.classes else -1

"""Tasks that people look for: similar to a text or a task, or probably of a class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from typing_extensions import TypedDict

from backend.errors import InvalidRequestError
from backend.evaluation.calibration import tempered, two_sided
from backend.learners.models.cache import BaseModels
from backend.overview.tasks.queue import excerpt
from backend.pool.nearest import cosines, highest
from backend.rounds.adapters import learned
from backend.rounds.context import options_of, spec_of
from backend.rounds.embeddings import embeddings_of
from backend.store import Store
from backend.store.files.shards import ROWS, Shards
from backend.store.sql.models import Project
from backend.store.texts import Listed, digest
from backend.targets import Target

_ITSELF = np.float32(2.0)  # in place of the similarity of a copy, which is not shown
_MOST_CHARACTERS = 100_000  # of a text to compare with; the base model reads fewer


class FoundTask(TypedDict):
    """A task that can be put first."""

    task: int
    text: Annotated[str, Field(description="Start of the text")]
    score: Annotated[float, Field(description="Cosine similarity to the text, or probability of the class")]


class Found(TypedDict):
    """The tasks that were found, the best first. Of tasks with the same text, the first."""

    tasks: list[FoundTask]
    compared: Annotated[int, Field(description="Tasks that were compared: those that the model has read")]
    open: Annotated[int, Field(description="Tasks that can be selected: open, not held out, and with a text")]


class Query(NamedTuple):
    """What to look for: one of text, task and name."""

    text: str | None = None
    task: int | None = None  # its text
    name: str | None = None  # of a class
    control: str | None = None  # of that class; None: the only one that has it


class FindError(InvalidRequestError):
    """Nothing can be found in this way."""


def find(store: Store, models: BaseModels, project: Project, query: Query, most: int) -> Found:
    """The open tasks that match best. Raises `FindError` if the query names something that is not there."""
    if sum(part is not None for part in (query.text, query.task, query.name)) != 1:
        raise FindError("look for one of these: a text, the number of a task, or a class")
    waiting = store.of(project.id).tasks.listed_waiting(audit=False)
    _, distinct = np.unique(waiting.digests, return_index=True)
    places = np.sort(distinct)
    candidates = Listed(waiting.ids[places], waiting.digests[places])
    if query.name is not None:
        rows, scores = _of_class(store, project, candidates, query.name, query.control)
    else:
        rows, scores = _similar(store, models, project, candidates, _text(store, project, query))
    compared = int(np.isin(waiting.digests, candidates.digests[rows]).sum())
    others = scores < _ITSELF
    rows, scores = rows[others], scores[others]
    best = highest(scores, most)
    ids = candidates.ids[rows[best]].tolist()
    texts = store.of(project.id).tasks.texts(ids)
    return {
        "tasks": [
            {"task": task, "text": excerpt(texts[task].text), "score": round(float(score), 4)}
            for task, score in zip(ids, scores[best], strict=True)
            if task in texts
        ],
        "compared": compared,
        "open": len(waiting.ids),
    }


def _text(store: Store, project: Project, query: Query) -> str:
    """The text to compare with."""
    text = query.text or ""
    if query.task is not None:
        there = store.of(project.id).tasks.texts([query.task]).get(query.task)
        if there is None:
            raise FindError(f"task {query.task} is not known here; it was deleted, or has not been read yet")
        text = there.text
    if not text.strip():
        raise FindError("there is no text to compare with; enter some words")
    return text


def _similar(
    store: Store, models: BaseModels, project: Project, candidates: Listed, text: str
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Rows of the candidates with an embedding, and their similarity to the text; `_ITSELF` for copies of it."""
    options = options_of(project)
    base = models.embedder(options.base_model)
    known = embeddings_of(store, project.id, base, options.max_length)
    places = known.rows(candidates.digests)
    rows = np.flatnonzero(places >= 0)
    rows = rows[np.argsort(places[rows], kind="stable")]  # as they are stored: each file is read once
    (vector,) = base.embed([text[:_MOST_CHARACTERS]], max_length=options.max_length)
    found = cosines(_blocks(known, candidates.digests[rows]), vector)
    order = np.argsort(rows)  # by task again
    rows, found = rows[order], found[order]
    return rows, np.where(candidates.digests[rows] == digest(text), _ITSELF, found)


def _blocks(known: Shards, digests: NDArray[np.int64]) -> Iterator[NDArray[Any]]:
    for start in range(0, len(digests), ROWS):
        yield known.take("embeddings", digests[start : start + ROWS])


def _of_class(
    store: Store, project: Project, candidates: Listed, name: str, control: str | None
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Rows of the candidates that the model has scored, and their probability of the class."""
    adapter = store.of(project.id).rounds.adapter(project.adapter)
    if adapter is None:
        raise FindError(f"project {project.id} has no model yet; label a batch of tasks first, or look for a text")
    target, place = _class(learned(adapter), name, control)
    scores = store.files.scores(project.id, project.adapter, project.head)
    there, arrays = scores.found([f"{target.name}/probs"], candidates.digests)
    rows = np.flatnonzero(there)
    if not len(rows):
        return rows, np.empty(0, np.float32)
    probs = arrays[f"{target.name}/probs"].astype(np.float64)
    if target.kind == "multilabel":
        found = tempered(two_sided(probs), target.temperature)[:, place, 0]
    else:
        found = tempered(probs, target.temperature)[:, place]
    return rows, np.asarray(found, np.float32)


def _class(targets: Sequence[Target], name: str, control: str | None) -> tuple[Target, int]:
    named = [each for each in targets if each.kind in WITH_CLASSES and name in each.classes]
    found = [each for each in named if control in (None, each.name)]
    if len(found) == 1:
        return found[0], found[0].classes.index(name)
    if found:
        there = ", ".join(each.name for each in found)
        raise FindError(f"several controls have the class '{name}'; name one of them: {there}")
    raise FindError(f"the model does not know a class '{name}'" + (f" of '{control}'" if control else ""))


WITH_CLASSES = ("classification", "multilabel", "pairwise")  # kinds with a probability of each class for each text


def classes_to_find(project: Project) -> dict[str, tuple[str, ...]]:
    """The classes that tasks can be found by, by control."""
    return {each.name: each.classes for each in spec_of(project).targets if each.kind in WITH_CLASSES}

"""Tasks whose texts nearly repeat each other, and whether their labels do."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import Field
from typing_extensions import TypedDict

from backend.learners.models.cache import BaseModels
from backend.overview.tasks.queue import excerpt
from backend.pool.near_duplicates import MOST, leaders
from backend.rounds.context import options_of, spec_of
from backend.rounds.embeddings import embeddings_of
from backend.rounds.insights.explanations import in_words
from backend.store import Store
from backend.store.sql.models import Project

_OF_ONE_TEXT = ("spans", "generation")  # kinds whose values are different for each text


class Repeated(TypedDict):
    """A task of a group."""

    task: int
    text: Annotated[str, Field(description="Start of the text")]
    labels: Annotated[dict[str, str | None], Field(description="By control; empty: not labeled")]


class Group(TypedDict):
    """Tasks that nearly repeat the first of them."""

    tasks: list[Repeated]
    differ: Annotated[bool, Field(description="Some have other labels than others: one of them may be wrong")]


class Duplicates(TypedDict):
    """The groups, those with different labels first, then the largest."""

    groups: list[Group]
    tasks: Annotated[int, Field(description="Tasks that nearly repeat an earlier one, of all groups")]
    compared: Annotated[int, Field(description="Tasks that were compared: those that the model has read")]
    all: Annotated[int, Field(description="Tasks of the project")]


def duplicates(store: Store, models: BaseModels, project: Project, similarity: float, most: int) -> Duplicates:
    """The tasks with a text that is nearly, or exactly, an earlier one's. most: groups.

    Of more than 20,000 texts, the first are compared.
    """
    options, tasks = options_of(project), store.of(project.id).tasks
    listed = tasks.listed()
    known = embeddings_of(store, project.id, models.embedder(options.base_model), options.max_length)
    rows = np.flatnonzero(known.rows(listed.digests) >= 0)
    digests, first, of_each = np.unique(listed.digests[rows], return_index=True, return_inverse=True)
    order = np.argsort(first)[:MOST]  # distinct texts by their first task
    leader = leaders(known.take("embeddings", digests[order]), similarity)
    place = np.full(len(digests), -1)
    place[order] = leader
    group_of = place[of_each]
    repeated = (group_of >= 0) & (np.bincount(group_of + 1)[group_of + 1] > 1)
    groups: dict[int, list[int]] = {}
    for task, group in zip(listed.ids[rows[repeated]].tolist(), group_of[repeated].tolist(), strict=True):
        groups.setdefault(group, []).append(task)
    several = list(groups.values())
    labels = tasks.placed([task for each in several for task in each])
    compared = {each.name for each in spec_of(project).targets if each.kind not in _OF_ONE_TEXT}

    def differ(group: list[int]) -> bool:
        return _differ([labels[task].labels or {} for task in group], compared)

    shown = sorted(several, key=lambda each: (not differ(each), -len(each), each))
    texts = tasks.texts([task for each in shown[:most] for task in each])
    return {
        "groups": [
            {
                "tasks": [
                    {
                        "task": task,
                        "text": excerpt(texts[task].text),
                        "labels": {
                            name: in_words(value, texts[task].text)
                            for name, value in (labels[task].labels or {}).items()
                        },
                    }
                    for task in each
                    if task in texts
                ],
                "differ": differ(each),
            }
            for each in shown[:most]
        ],
        "tasks": sum(len(each) - 1 for each in several),
        "compared": int((group_of >= 0).sum()),
        "all": len(listed.ids),
    }


def _differ(labels: Sequence[Mapping[str, Any]], compared: Collection[str]) -> bool:
    """Whether two of the labeled ones disagree on a control that both have."""
    seen: dict[str, Any] = {}
    return any(
        seen.setdefault(name, value) != value for each in labels for name, value in each.items() if name in compared
    )

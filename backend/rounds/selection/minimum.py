"""Tasks of classes that have too few labels, with the option `minimum_per_class`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from backend.rounds.adapters import learned
from backend.rounds.context import ProjectRun
from backend.store.texts import Listed
from backend.targets import Target, Values

KINDS = ("classification", "multilabel")
_LEAST = 0.02  # probability of a class below which a text is not worth a place for it


def of_lacking_classes(run: ProjectRun, candidates: Listed, most: int) -> list[int]:
    """Candidates that probably belong to classes below the minimum, as many as are expected to reach it.

    By the scores of the adapter; none before there are any. At most `most`.
    """
    minimum, adapter = run.options.minimum_per_class, run.rounds.adapter(run.version)
    if minimum is None or adapter is None:
        return []
    _, first = np.unique(candidates.digests, return_index=True)  # copies of a text would teach no more
    there = np.sort(first)[run.scores.rows(candidates.digests[np.sort(first)]) >= 0]
    labels, chosen = run.tasks.labels(), list[int]()
    for target in learned(adapter):
        if target.kind in KINDS:
            probs = run.scores.take(f"{target.name}/probs", candidates.digests[there])
            found = lacking(probs, _missing(target, labels, minimum), most - len(chosen))
            chosen += [task for task in candidates.ids[there[found]].tolist() if task not in chosen]
    return chosen


def lacking(probs: NDArray[np.floating], missing: NDArray[np.float64], most: int) -> NDArray[np.int64]:
    """Rows for the classes that miss labels, (k,): each the most probable of the class that misses most.

    probs: (N, C); missing: (C,) labels. A row reduces what each class misses by its probability, so that enough rows
    are chosen for the expected number of labels; at most `most`, and none that hardly can be of the class.
    """
    probs, missing = np.array(probs, np.float64), missing.copy()
    rows: list[int] = []
    while len(rows) < min(most, len(probs)) and missing.max(initial=0.0) > 0:
        wanted = int(missing.argmax())
        row = int(probs[:, wanted].argmax())
        if probs[row, wanted] < _LEAST:
            missing[wanted] = 0.0
            continue
        rows.append(row)
        missing -= np.maximum(probs[row], 0.0)
        probs[row] = -1.0
    return np.array(rows, np.int64)


def _missing(target: Target, labels: Sequence[Values], minimum: int) -> NDArray[np.float64]:
    values = [each[target.name] for each in labels if target.offers(each.get(target.name))]
    given = [name for value in values for name in ([value] if isinstance(value, str) else value)]
    return np.array([max(0, minimum - given.count(name)) for name in target.classes], np.float64)

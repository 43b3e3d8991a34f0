"""Label quality: likely label errors and inter-annotator agreement."""

from __future__ import annotations

import json
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
from cleanlab.filter import find_label_issues
from numpy.typing import NDArray
from sklearn.model_selection import KFold

Array = NDArray[np.float64]
Vectors = NDArray[np.float32]
Targets = NDArray[np.int64]
Probs = Callable[[Vectors, Targets, Vectors], Array]  # fit on the first two; class probabilities of the last

_FOLDS = 5


class Suspect(NamedTuple):
    """A label that is likely wrong."""

    row: int
    quality: float  # probability of the label by a model that was not trained on this text
    instead: int  # the class that this model predicts


def enough(labels: Targets) -> bool:
    """Whether there are enough labels to find errors among them: at least ten, of at least two classes."""
    return len(labels) >= 2 * _FOLDS and len(np.unique(labels)) > 1


def suspects(vectors: Vectors, labels: Targets, probs: Probs) -> list[Suspect]:
    """Likely label errors, the most likely first. vectors: (N, D); labels: (N,) class indices.

    Confident learning on out-of-fold probabilities, ranked by that of the given label (Northcutt, Jiang & Chuang, JAIR
    2021, section 3), as implemented by cleanlab. Empty if there are not enough labels.
    """
    if not enough(labels):
        return []
    present, given = np.unique(labels, return_inverse=True)
    found = np.empty((len(labels), len(present)))
    for learned, others in KFold(_FOLDS, shuffle=True, random_state=0).split(vectors):
        found[others] = probs(vectors[learned], labels[learned], vectors[others])[:, present]
    found /= found.sum(axis=1, keepdims=True)
    with warnings.catch_warnings():  # one warning for each small class
        warnings.simplefilter("ignore", UserWarning)
        rows = find_label_issues(given, found, return_indices_ranked_by="self_confidence", n_jobs=1)
    return [Suspect(int(row), float(found[row, given[row]]), int(present[found[row].argmax()])) for row in rows]


def agreement(annotations: Iterable[tuple[int, int | None, Any]]) -> dict[str, Any] | None:
    """Inter-annotator agreement on tasks with several annotations of (task, annotator, value). None without such tasks.

    `share` is the fraction of agreeing pairs per task, on average. `alpha` is Krippendorff's for nominal values
    (Content Analysis, 2004, section 11.3): 1 for perfect agreement, 0 for chance; None where all values are the same.
    Per annotator, `compared` counts the tasks on which the others have one most frequent value, and `disagrees` those
    on which the annotator chose another.
    """
    by_task: dict[int, list[tuple[int | None, str]]] = defaultdict(list)
    for task, annotator, value in annotations:
        by_task[task].append((annotator, json.dumps(value, sort_keys=True)))
    several = {task: votes for task, votes in by_task.items() if len(votes) > 1}
    if not several:
        return None
    people: dict[str, dict[str, int]] = defaultdict(lambda: {"labels": 0, "compared": 0, "disagrees": 0})
    for task, votes in by_task.items():
        for place, (annotator, value) in enumerate(votes):
            person = people[str(annotator)]
            person["labels"] += 1
            others = Counter(v for other, (_, v) in enumerate(votes) if other != place).most_common(2)
            if task in several and (len(others) == 1 or others[0][1] > others[1][1]):
                person["compared"] += 1
                person["disagrees"] += value != others[0][0]
    counts = [Counter(value for _, value in votes) for votes in several.values()]
    return {
        "tasks": len(several),
        "share": float(np.mean([_alike(each) for each in counts])),
        "alpha": _alpha(counts),
        "annotators": dict(people),
    }


def _alike(votes: Counter[str]) -> float:
    """Share of equal pairs among one task's values."""
    total = votes.total()
    return sum(n * (n - 1) for n in votes.values()) / (total * (total - 1))


def _alpha(counts: list[Counter[str]]) -> float | None:
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    n = total.total()
    by_chance = 1 - sum(m * (m - 1) for m in total.values()) / (n * (n - 1))
    observed = sum(each.total() * (1 - _alike(each)) for each in counts) / n
    return 1 - observed / by_chance if by_chance > 0 else None

"""Inter-annotator agreement."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

import numpy as np


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

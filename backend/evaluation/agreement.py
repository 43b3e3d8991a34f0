"""Inter-annotator agreement."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

import numpy as np

_EXPECTED = 0.9  # agreement of two annotators before they are compared
_WORTH = 10  # comparisons that this is worth
_LEAST = 0.05  # weight, so that of annotators without any the majority decides


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


def weights(labels: Iterable[tuple[int, int | None, Any]]) -> dict[str, float]:
    """How much a label of each annotator counts, by annotator, from (task, annotator, value); empty without a pair.

    CROWDLAB's weight (Goh, Tkachenko & Mueller, arXiv:2210.06812, section 3) without its model, so that labels that
    measure the model do not follow it: 1 for one who always agrees with the others, 0.05 for one who agrees no more
    often than always giving the most frequent value would. Of few comparisons, near the average. In twentieths.
    """
    by_task: dict[int, dict[int | None, str]] = defaultdict(dict)
    for task, annotator, value in labels:
        by_task[task][annotator] = json.dumps(value, sort_keys=True)  # of several by one person the last one counts
    agrees: Counter[int | None] = Counter()
    compared: Counter[int | None] = Counter()
    for votes in by_task.values():
        for annotator, value in votes.items():
            compared[annotator] += len(votes) - 1
            agrees[annotator] += sum(other == value for other in votes.values()) - 1
    if not compared.total():
        return {}
    frequent = Counter(value for votes in by_task.values() for value in votes.values())
    by_chance = min(frequent.most_common(1)[0][1] / frequent.total(), 0.99)
    average = (agrees.total() + _EXPECTED * _WORTH) / (compared.total() + _WORTH)
    shares = {who: (agrees[who] + average * _WORTH) / (number + _WORTH) for who, number in compared.items()}
    return {
        str(who): round(20 * max(_LEAST, 1 - (1 - share) / (1 - by_chance))) / 20
        for who, share in shares.items()
        if who is not None
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

"""Co-training: each of two views of the texts learns from the other's confident predictions (pseudo-labels).

Blum & Mitchell, Combining Labeled and Unlabeled Data with Co-Training (COLT 1998), table 1: in each round, each view
adds the unlabeled texts that it predicts with most confidence, in the proportions of the classes, for the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.options import ProjectOptions
from backend.rounds.adapters import learned
from backend.rounds.context import ProjectRun
from backend.store.texts import LabeledText

Array = NDArray[Any]
Lent = tuple[list[str], list[str]]  # texts, and the class that the other view predicts for each
NOTHING: Lent = ([], [])
VIEWS = "committee_probs views 2"  # the array's name in the scores


def lend(run: ProjectRun, examples: Sequence[LabeledText]) -> tuple[Lent, Lent]:
    """Pseudo-labels of the embeddings' view for the adapter, and of the adapter for that view.

    From the scores of the adapter in service on unlabeled texts that are not held out; none without such scores.
    """
    adapter = run.rounds.adapter(run.project.adapter)
    waiting = run.tasks.waiting(audit=False)
    scores = run.store.files.scores(run.id, run.project.adapter)
    there, found = scores.found([VIEWS], [task.digest for task in waiting])
    if adapter is None or not there.any():
        return NOTHING, NOTHING
    texts = [task.text for task, is_there in zip(waiting, there, strict=True) if is_there]
    (target,) = learned(adapter)
    names = [example.values.get(target.name) for example in examples]
    counts = np.array([names.count(name) for name in target.classes])
    return between(texts, found[VIEWS], target.classes, counts, run.options)


def between(
    texts: Sequence[str], views: Array, classes: Sequence[str], class_counts: Array, options: ProjectOptions
) -> tuple[Lent, Lent]:
    """Pseudo-labels of the first view for the second, and of the second for the first.

    views: (N, 2, C), the probabilities of both on unlabeled texts; class_counts: (C,) labels so far.
    """

    def of(view: int) -> Lent:
        probs = views[:, view].astype(np.float64)
        rows, targets = surest(probs, class_counts, options.pseudo_labels, options.pseudo_confidence)
        return [texts[row] for row in rows], [classes[target] for target in targets]

    return of(0), of(1)


def surest(probs: Array, class_counts: Array, n: int, threshold: float) -> tuple[Array, Array]:
    """At most n candidates with a probability of at least `threshold`, most confident first, and the class of each.

    probs: (N, C); class_counts: (C,). No class gets more than its share of the labels so far, rounded up; a class
    without labels gets none.
    """
    predicted, confidence = probs.argmax(axis=1), probs.max(axis=1)
    shares = class_counts / max(1, class_counts.sum())
    chosen: list[int] = []
    for each, share in enumerate(shares):
        rows = np.flatnonzero((predicted == each) & (confidence >= threshold))
        chosen.extend(rows[np.argsort(-confidence[rows], kind="stable")][: int(np.ceil(share * n))])
    rows = np.array(chosen, dtype=np.int64)
    rows = rows[np.argsort(-confidence[rows], kind="stable")][:n]
    return rows, predicted[rows]

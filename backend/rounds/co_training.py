"""Co-training: what one view of the texts is sure of, the other learns from as if a person had said it.

Blum & Mitchell, Combining Labeled and Unlabeled Data with Co-Training (COLT 1998), table 1: each round, each view lends
the other the unlabeled texts it is most sure of, in the classes' proportions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.options import ProjectOptions
from backend.rounds.context import Context, learned
from backend.store.models import Project
from backend.store.texts import LabeledText

Array = NDArray[Any]
Lent = tuple[list[str], list[str]]  # texts, and the class that the other view gives each
NOTHING: Lent = ([], [])
VIEWS = "committee_probs views 2"  # as the scores file names them


def lend(
    context: Context, project: Project, options: ProjectOptions, examples: Sequence[LabeledText]
) -> tuple[Lent, Lent]:
    """What the adapter may learn from the embeddings' view, and what that view may learn from the adapter.

    From the scores of the adapter in service, on texts that wait for a label and are not held out. Nothing while there
    are no such scores.
    """
    adapter = context.store.rounds.adapter(project.id, project.adapter)
    waiting = context.store.tasks.waiting(project.id, audit=False)
    scores = context.store.files.scores(project.id, project.adapter)
    there, found = scores.found([VIEWS], [task.digest for task in waiting])
    if adapter is None or not there.any():
        return NOTHING, NOTHING
    texts = [task.text for task, is_there in zip(waiting, there, strict=True) if is_there]
    (target,) = learned(adapter)
    names = [example.values.get(target.name) for example in examples]
    counts = np.array([names.count(name) for name in target.classes])
    return between(texts, found[VIEWS], target.classes, counts, options)


def between(
    texts: Sequence[str], views: Array, classes: Sequence[str], class_counts: Array, options: ProjectOptions
) -> tuple[Lent, Lent]:
    """What the second view may learn from the first, and the first from the second.

    views: (N, 2, C), what both say of unlabeled texts; class_counts: (C,) labels so far.
    """

    def of(view: int) -> Lent:
        probs = views[:, view].astype(np.float64)
        rows, targets = surest(probs, class_counts, options.pseudo_labels, options.pseudo_confidence)
        return [texts[row] for row in rows], [classes[target] for target in targets]

    return of(0), of(1)


def surest(probs: Array, class_counts: Array, n: int, threshold: float) -> tuple[Array, Array]:
    """At most n candidates with a probability of at least `threshold`, surest first, and the class of each.

    probs: (N, C). No class gets more than its share of the labels so far, rounded up; class_counts: (C,). One that
    nobody labeled gets none.
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

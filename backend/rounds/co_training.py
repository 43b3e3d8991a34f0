"""Co-training: what one view of the texts is sure of, the other learns from as if a person had said it.

Blum & Mitchell, Combining Labeled and Unlabeled Data with Co-Training (COLT 1998), table 1: each round, each view lends
the other the unlabeled texts it is most sure of, in the classes' proportions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from backend.pool.local import Scores
from backend.rounds.context import Context
from backend.settings import ProjectOptions
from backend.store.models import Project
from backend.store.tasks import LabeledText

Lent = tuple[list[str], list[str]]  # texts, and the class that the other view gives each
NOTHING: Lent = ([], [])


def lend(
    context: Context, project: Project, options: ProjectOptions, examples: Sequence[LabeledText]
) -> tuple[Lent, Lent]:
    """What the adapter may learn from the embeddings' view, and what that view may learn from the adapter.

    From the scores of the adapter in service, on texts that wait for a label and are not held out. Nothing while there
    are no such scores.
    """
    adapter = context.store.rounds.adapter(project.id, project.adapter)
    found = context.store.files.read_arrays(context.store.files.scores(project.id, project.adapter))
    if adapter is None or found is None or "committee_probs" not in found or not options.pseudo_labels:
        return NOTHING, NOTHING
    scores = Scores(found)
    waiting = context.store.tasks.waiting(project.id, audit=False)
    scored = scores.rows([task.digest for task in waiting]) >= 0
    waiting = [task for task, known in zip(waiting, scored, strict=True) if known]
    views = scores.take("committee_probs", [task.digest for task in waiting]).transpose(1, 0, 2)
    if len(views) != 2:
        return NOTHING, NOTHING
    names = [example.label for example in examples]
    counts = np.array([names.count(name) for name in adapter.classes])

    def of(view: NDArray[np.generic]) -> Lent:
        rows, classes = surest(np.asarray(view, np.float64), counts, options.pseudo_labels, options.pseudo_confidence)
        return [waiting[row].text for row in rows], [adapter.classes[each] for each in classes]

    return of(views[0]), of(views[1])


def surest(
    probs: NDArray[np.float64], class_counts: NDArray[np.int64], n: int, threshold: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """At most n candidates with a probability of at least `threshold`, surest first, and the class of each.

    probs: (N, C). No class gets more than its share of the labels so far, class_counts: (C,); one that nobody labeled
    gets none.
    """
    predicted, confidence = probs.argmax(axis=1), probs.max(axis=1)
    shares = class_counts / max(1, class_counts.sum())
    chosen: list[int] = []
    for each, share in enumerate(shares):
        rows = np.flatnonzero((predicted == each) & (confidence >= threshold))
        chosen.extend(rows[np.argsort(-confidence[rows], kind="stable")][: round(share * n)])
    rows = np.array(chosen, dtype=np.int64)
    rows = rows[np.argsort(-confidence[rows], kind="stable")][:n]  # shares are rounded, so that there may be more
    return rows, predicted[rows]

"""Whether predictions have settled: two adapters in a row say the same of texts that neither learned from.

Bloodgood & Vijay-Shanker, A Method for Stopping Active Learning Based on Stabilizing Predictions (CoNLL 2009).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import cohen_kappa_score

from backend.rounds.context import Context, learned
from backend.targets import Target

STOP_SET = 2000  # texts, as in section 3.1
_SETTLED, _WINDOW = 0.99, 3  # mean kappa of so many adapters in a row, as in section 3.2
_AS_CLASSES = ("classification", "pairwise", "multilabel")


def agreement(context: Context, project_id: int, before: int, version: int) -> dict[str, float]:
    """Cohen's kappa between what two adapters predict of texts that neither learned from, by control."""
    adapters = [context.store.rounds.adapter(project_id, each) for each in (before, version)]
    if before == version or adapters[0] is None or adapters[1] is None:
        return {}
    old, new = ({t.name: t for t in learned(adapter) if t.kind in _AS_CLASSES} for adapter in adapters if adapter)
    names = [
        name
        for name in new
        if name in old and (old[name].kind, old[name].classes) == (new[name].kind, new[name].classes)
    ]
    scores = [context.store.files.scores(project_id, each) for each in (before, version)]
    if not names or not all(each.names >= {f"{name}/probs" for name in names} for each in scores):
        return {}
    held_out, others = (context.store.tasks.listed_waiting(project_id, audit=audit).digests for audit in (True, False))
    digests = np.concatenate([held_out, others])
    shared = digests[np.all([each.rows(digests) >= 0 for each in scores], axis=0)][:STOP_SET]
    if len(shared) < 2:
        return {}
    found = {}
    for name in names:
        first, second = (
            _classes(known[name], each.take(f"{name}/probs", shared))
            for known, each in zip((old, new), scores, strict=True)
        )
        alike = bool((first == second).all())  # where all is one class, kappa is not defined
        found[name] = 1.0 if alike else round(float(cohen_kappa_score(first, second)), 4)
    return found


def _classes(target: Target, probs: NDArray[Any]) -> NDArray[np.int64]:
    """The class of each text, or each label's there or not: (N,) or (N · C,)."""
    if target.kind == "multilabel":
        return np.asarray(probs >= target.threshold, np.int64).ravel()
    return np.asarray(probs.argmax(axis=1), np.int64)


def settled(known: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the last adapters agree so well that more labels are not likely to change what is predicted."""
    compared = [each["agreement"] for each in known if each["agreement"]][-_WINDOW:]
    if len(compared) < _WINDOW:
        return False
    return all(np.mean([each.get(name, 0.0) for each in compared]) >= _SETTLED for name in compared[-1])

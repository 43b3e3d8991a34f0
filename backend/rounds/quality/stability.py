"""Whether predictions are stable: consecutive adapters predict the same for texts that neither learned from.

Bloodgood & Vijay-Shanker, A Method for Stopping Active Learning Based on Stabilizing Predictions (CoNLL 2009).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import cohen_kappa_score

from backend.rounds.adapters import learned
from backend.rounds.context import ProjectRun
from backend.targets import Target

STOP_SET = 2000  # texts, as in section 3.1
_STABLE, _WINDOW = 0.99, 3  # mean kappa over this many consecutive adapters, as in section 3.2
_AS_CLASSES = ("classification", "pairwise", "multilabel")


def agreement(run: ProjectRun, before: int) -> dict[str, float]:
    """Cohen's kappa between predictions of the adapter `before` and the round's, by control, on texts new to both."""
    version = run.version
    adapters = [run.rounds.adapter(each) for each in (before, version)]
    if before == version or adapters[0] is None or adapters[1] is None:
        return {}
    old, new = ({t.name: t for t in learned(adapter) if t.kind in _AS_CLASSES} for adapter in adapters if adapter)
    names = [
        name
        for name in new
        if name in old and (old[name].kind, old[name].classes) == (new[name].kind, new[name].classes)
    ]
    scores = [run.store.files.scores(run.id, each) for each in (before, version)]
    if not names or not all(each.names >= {f"{name}/probs" for name in names} for each in scores):
        return {}
    held_out, others = (run.tasks.listed_waiting(audit=audit).digests for audit in (True, False))
    taught = any(adapter is not None and adapter.soft for adapter in adapters)  # of some of the others
    digests = held_out if taught else np.concatenate([held_out, others])
    shared = digests[np.all([each.rows(digests) >= 0 for each in scores], axis=0)][:STOP_SET]
    if len(shared) < 2:
        return {}
    found = {}
    for name in names:
        first, second = (
            _classes(known[name], each.take(f"{name}/probs", shared))
            for known, each in zip((old, new), scores, strict=True)
        )
        alike = bool((first == second).all())  # kappa is undefined if all predictions are one class
        found[name] = 1.0 if alike else round(float(cohen_kappa_score(first, second)), 4)
    return found


def _classes(target: Target, probs: NDArray[Any]) -> NDArray[np.int64]:
    """The class of each text: (N,); for several labels, whether each is present: (N · C,)."""
    if target.kind == "multilabel":
        return np.asarray(probs >= target.threshold, np.int64).ravel()
    return np.asarray(probs.argmax(axis=1), np.int64)


def is_stable(known: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the last adapters agree so well that more labels are unlikely to change predictions."""
    compared = [each["agreement"] for each in known if each["agreement"]][-_WINDOW:]
    if len(compared) < _WINDOW:
        return False
    return all(np.mean([each.get(name, 0.0) for each in compared]) >= _STABLE for name in compared[-1])

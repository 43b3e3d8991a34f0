"""Map the `Pool` fields that a strategy requires to learner arrays and back, so that only these are computed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Array = NDArray[Any]
Take = Callable[[str], Array]  # array name → array, one row per text

SCORED = frozenset(
    {"probs", "features", "committee_probs", "predictions", "gradient_lengths", "uncertainty"}
)  # by the adapter, in each round
EMBEDDED = frozenset({"embeddings"})  # by the base model, once
_LABELED = "labeled_"


def arrays(requires: Collection[str]) -> frozenset[str]:
    """The arrays to compute for the `Pool` fields that a strategy requires."""
    return frozenset(field.removeprefix(_LABELED) for field in requires) & (SCORED | EMBEDDED)


def gather(requires: Collection[str], candidates: Take, labeled: Take) -> dict[str, Any]:
    """Build the required `Pool` fields from the arrays of the candidates and of the labeled texts."""
    found = {}
    for field in requires:
        name = field.removeprefix(_LABELED)
        if name not in SCORED | EMBEDDED:
            continue
        values = labeled(name) if field.startswith(_LABELED) else candidates(name)
        found[field] = values.swapaxes(0, 1) if field in ("committee_probs", "predictions") else values
    return found


def combined(scores: Sequence[NDArray[np.generic]], weights: Sequence[float]) -> NDArray[np.float64]:
    """Combined score of N candidates over several controls: the weighted mean of their ranks, in [0, 1].

    Ranks, since scores of different kinds have no common unit. Equal scores share their mean rank.
    """
    ranks = [(rankdata(each) - 1) / max(1, len(each) - 1) for each in scores]
    total = sum(weights) or 1.0
    return np.asarray(sum(w / total * rank for w, rank in zip(weights, ranks, strict=True)))

"""Outputs of an adapter's heads on vectors that were computed before: its features, or the base model's embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from backend.learners.base import Arrays
from backend.learners.heads.map_head import Fixed
from backend.learners.kinds.base import TargetHead
from backend.learners.models.loading import is_served
from backend.rounds.adapters import find
from backend.rounds.context import ProjectRun
from backend.rounds.embeddings import known_embeddings
from backend.rounds.selection.strategy import stored_as, uncertainty_options
from backend.store.files.shards import Shards
from strategies import Strategy

_ROWS = 8192  # texts whose outputs are computed at once


class Vectors(NamedTuple):
    """One vector per text, (N, D), by digest."""

    shards: Shards
    name: str

    def of(self, digests: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float32]:
        """The vectors of these texts: (B, D)."""
        return self.shards.take(self.name, digests)

    def known(self, digests: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those of the digests that have a vector."""
        return digests[self.shards.rows(digests) >= 0]


def vectors(run: ProjectRun) -> Vectors | None:
    """What the heads of the run's adapter read; None if it was not stored.

    An adapter without training texts leaves the base model as it is, so its features are the embeddings.
    """
    features = run.store.files.scores(run.id, run.version)
    if "features" in features.names:
        return Vectors(features, "features")
    untrained = not find(run, run.version).tuned and not is_served(run.options.base_model)
    return Vectors(known_embeddings(run), "embeddings") if untrained else None


def write(run: ProjectRun, heads: Sequence[TargetHead], strategy: Strategy, digests: NDArray[np.int64],
          known: Vectors) -> None:  # fmt: skip
    """Store the heads' outputs, and what the strategy needs of them, as the scores of the run's adapter and head."""
    run.scores.clear()  # of an earlier try
    for start in range(0, len(digests), _ROWS):
        some = digests[start : start + _ROWS]
        reading, found = Fixed.of(torch.from_numpy(known.of(some))), Arrays()
        with torch.inference_mode():
            for head in heads:
                name = head.target.name
                found |= {f"{name}/{array}": value.numpy() for array, value in head.outputs(reading).items()}
                if "uncertainty" in strategy.requires:
                    stored = stored_as(f"{name}/uncertainty", run.options, strategy)
                    found[stored] = head.uncertainty(reading, uncertainty_options(run.options)).numpy()
        run.scores.add(some, found)

"""EPIG: select texts whose label reveals most about the labels of other texts.

Bickford Smith, Kirsch, Farquhar, Gal, Foster & Rainforth, Prediction-Oriented Bayesian Active Learning (AISTATS 2023),
equation 9: the mutual information between a candidate's label and that of a target text, in expectation over target
texts. BALD measures information about parameters instead, also those that no prediction depends on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from strategies.base import Array, Pool, PoolError, Selection, StrategyOptionError, check
from strategies.ranking import top

_CELLS = 4_000_000  # joint probabilities at a time


def expected_information(committee_probs: Array, targets: Array) -> Array:
    """Mean over M targets of KL(p(y, y*) ‖ p(y) p(y*)), in nats, ≥ 0: (S, N, C) and (S, M, C) → (N,) float64.

    p(y, y*) is the mean over S members of the product of their probabilities.
    """
    members, size, classes = committee_probs.shape
    of_targets = targets.reshape(members, -1).astype(np.float64)  # (S, M·C)
    alone = of_targets.mean(axis=0)
    at_once = max(1, _CELLS // max(1, classes * of_targets.shape[1]))
    found = np.empty(size)
    for start in range(0, size, at_once):
        block = committee_probs[:, start : start + at_once].astype(np.float64)
        own = block.reshape(members, -1)  # (S, B·C)
        joint = own.T @ of_targets / members  # (B·C, M·C)
        apart = own.mean(axis=0)[:, None] * alone
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = np.where(joint > 0, joint * np.log(joint / apart), 0.0)
        found[start : start + at_once] = terms.reshape(block.shape[1], -1).sum(axis=1)
    return np.maximum(found / max(1, targets.shape[1]), 0.0)


@dataclass(frozen=True, slots=True)
class Epig:
    """Ranks candidates by the information about `targets` texts, drawn from the pool."""

    targets: int = 100
    name: str = "epig"

    @property
    def requires(self) -> frozenset[str]:
        """The committee's probabilities."""
        return frozenset({"committee_probs"})

    def select(self, pool: Pool, n: int, rng: np.random.Generator) -> Selection:
        """The n candidates with the most information, best first."""
        probs = check(self, pool, n)["committee_probs"]
        if pool.multilabel:
            raise PoolError("strategy 'epig' needs single-label class probabilities; the pool is multi-label")
        drawn = probs[:, rng.permutation(pool.size)[: self.targets]]
        return top(expected_information(probs, drawn), n, rng)


def create(targets: int = 100) -> Epig:
    """The strategy `epig`; targets: the number of texts whose labels count."""
    if targets < 1:
        raise StrategyOptionError(f"epig: targets must be at least 1, not {targets}")
    return Epig(targets)

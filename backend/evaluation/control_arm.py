"""What choosing texts saves: the held-out labels are a random sample, so that they can also play a project without it.

A model fitted on k labels that were chosen is compared with one fitted on k labels that were drawn at random, both on
held-out texts that neither learned from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Targets = NDArray[np.int64]
Fit = Callable[[Vectors, Targets], Callable[[Vectors], Targets]]  # learn from these; then name the class of others

ENOUGH = 100  # held-out labels
MOST = 200  # labels to learn from: more only takes longer
_SPLITS = 12
_SIZES = 6
_T = 2.2  # 97.5 % of Student's distribution, for so many splits


def compare(chosen: tuple[Vectors, Targets], random: tuple[Vectors, Targets], fit: Fit) -> dict[str, Any] | None:
    """How much better k chosen labels teach than k random ones and, if they surely do, how many teach as much.

    chosen, random: vectors and classes, the chosen ones in the order in which they were labeled. k is half of the
    random ones, at most 200: of each of twelve splits one half teaches and the other measures. None below 100 random
    labels, or while fewer than k were chosen. Intervals are of 95 %, by the spread over the splits, which for halves is
    that of the mean (Shao & Wu, Annals of Statistics 1989, the delete-d jackknife); the chosen labels are as given.
    """
    vectors, targets = random
    k = min(len(targets) // 2, MOST)
    if len(targets) < ENOUGH or len(chosen[1]) < k:
        return None
    sizes = np.unique(np.linspace(k / _SIZES, k, _SIZES).astype(np.int64))
    right = np.array([fit(chosen[0][:size], chosen[1][:size])(vectors) == targets for size in sizes], np.float64)
    rng = np.random.default_rng(0)
    by_random, curves = np.empty(_SPLITS), np.empty((_SPLITS, len(sizes)))
    for split in range(_SPLITS):
        order = rng.permutation(len(targets))
        teach, test = order[:k], order[len(targets) // 2 :]
        by_random[split] = (fit(vectors[teach], targets[teach])(vectors[test]) == targets[test]).mean()
        curves[split] = right[:, test].mean(axis=1)
    better = curves - by_random[:, None]
    middle, half = better.mean(axis=0), _T * better.std(axis=0, ddof=1)
    found: dict[str, Any] = {
        "labels": k,
        "chosen": float(curves[:, -1].mean()),
        "random": float(by_random.mean()),
        "better": [float(middle[-1] - half[-1]), float(middle[-1] + half[-1])],
    }
    if found["better"][0] > 0:
        found["needed"] = _first(sizes, middle)
        found["needed_interval"] = [_first(sizes, middle + half), _first(sizes, middle - half)]
    return found


def _first(sizes: Targets, curve: NDArray[np.float64]) -> float:
    """The smallest size at which a curve reaches 0, which it does at the last; between two sizes in a straight line."""
    place = int(np.argmax(curve >= 0))
    if place == 0:
        return float(sizes[0])
    below, above = curve[place - 1], curve[place]
    return float(sizes[place - 1] + -below / (above - below) * (sizes[place] - sizes[place - 1]))

"""Control arm: how many labels selection saves. Held-out labels are a random sample, so they stand for random labeling.

A model fitted on k selected labels is compared with one fitted on k random labels, both on held-out texts that neither
was trained on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Targets = NDArray[np.int64]
Fit = Callable[[Vectors, Targets], Callable[[Vectors], Targets]]  # fit on these; the result predicts classes

ENOUGH = 100  # minimum number of held-out labels
MOST = 200  # maximum number of training labels: more only takes longer
_SPLITS = 12
_SIZES = 6  # points of the learning curve of selected labels
_T = 2.2  # 97.5 % quantile of Student's t-distribution for this number of splits


def compare(chosen: tuple[Vectors, Targets], random: tuple[Vectors, Targets], fit: Fit) -> dict[str, Any] | None:
    """Accuracy gain of k selected over k random labels and, if significant, the selected labels needed to match random.

    chosen, random: vectors and classes, `chosen` in order of labeling. k is half of the random labels, at most 200: in
    each of twelve splits one half is for training and the other for testing. None below 100 random labels or fewer than
    k selected ones. 95 % intervals, from the spread over the splits, which for halves equals that of the mean (Shao &
    Wu, Annals of Statistics 1989, the delete-d jackknife); the selected labels are treated as fixed.
    """
    vectors, targets = random
    k = min(len(targets) // 2, MOST)
    if len(targets) < ENOUGH or len(chosen[1]) < k:
        return None
    sizes = np.unique(np.linspace(k / _SIZES, k, _SIZES).astype(np.int64))
    right = np.array([fit(chosen[0][:size], chosen[1][:size])(vectors) == targets for size in sizes], np.float64)
    rng = np.random.default_rng(0)
    random_accuracy, curves = np.empty(_SPLITS), np.empty((_SPLITS, len(sizes)))
    for split in range(_SPLITS):
        order = rng.permutation(len(targets))
        train, test = order[:k], order[len(targets) // 2 :]
        random_accuracy[split] = (fit(vectors[train], targets[train])(vectors[test]) == targets[test]).mean()
        curves[split] = right[:, test].mean(axis=1)
    better = curves - random_accuracy[:, None]
    middle, half = better.mean(axis=0), _T * better.std(axis=0, ddof=1)
    found: dict[str, Any] = {
        "labels": k,
        "chosen": float(curves[:, -1].mean()),
        "random": float(random_accuracy.mean()),
        "better": [float(middle[-1] - half[-1]), float(middle[-1] + half[-1])],
    }
    if found["better"][0] > 0:
        found["needed"] = _first(sizes, middle)
        found["needed_interval"] = [_first(sizes, middle + half), _first(sizes, middle - half)]
    return found


def _first(sizes: Targets, curve: NDArray[np.float64]) -> float:
    """The smallest size at which a curve reaches 0, linearly interpolated. The curve must reach 0 at the last size."""
    place = int(np.argmax(curve >= 0))
    if place == 0:
        return float(sizes[0])
    below, above = curve[place - 1], curve[place]
    return float(sizes[place - 1] + -below / (above - below) * (sizes[place] - sizes[place - 1]))

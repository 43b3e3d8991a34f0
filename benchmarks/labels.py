"""What the search for wrong labels finds, and how often it accuses right ones, with labels flipped on purpose.

    python -m benchmarks.labels --data FOLDER [--draws 10]

FOLDER holds trec6/, banking77/, sst2/ and zh_waimai/ with train.jsonl and test.jsonl each. Half an hour of two cores.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from backend.evaluation.label_noise import label_noise
from backend.learners.heads import linear
from backend.runtime.libraries import quiet_libraries
from benchmarks.projects import embedded, played

Array = NDArray[Any]
_RESULT = Path(__file__).parent / "results" / "labels.md"
_DATA = {"trec6": "minilm", "sst2": "minilm", "banking77": "minilm", "zh_waimai": "multilingual"}
_SIZES = (80, 160, 400, 1000)
_FLIPPED = (0.0, 0.05, 0.1)
_OF_CLASS = 5  # labels of a class, below which none is compared


class Review(NamedTuple):
    """The labels of one project."""

    compared: int  # labels
    flipped: int  # among all labels
    wrong: int  # of these, among the compared ones
    number: float  # estimated number of wrong labels, with its interval
    low: float
    high: float
    shown: Array  # whether each label that is shown was flipped, the worst first


def review(vectors: Array, targets: Array, size: int, share: float, seed: int) -> Review:
    """Draw labels, flip a share of them to any other class, and search."""
    rng = np.random.default_rng([seed, size])
    rows = rng.permutation(len(vectors))[:size]
    classes = int(targets.max()) + 1
    flipped = rng.random(size) < share
    given = np.where(flipped, (targets[rows] + rng.integers(1, classes, size)) % classes, targets[rows])

    def probs(known: Array, labels: Array, others: Array) -> Array:
        return linear.fit(known, labels, classes).alone(others).astype(np.float64)

    found = label_noise(vectors[rows], given, probs)
    if found is None:
        return Review(0, int(flipped.sum()), 0, 0.0, 0.0, np.inf, np.empty(0, bool))
    number, low, high = (found.labels * each for each in (found.share, found.low, found.high))
    wrong = flipped[np.bincount(given)[given] >= _OF_CLASS].sum()
    return Review(
        found.labels, int(flipped.sum()), int(wrong), number, low, high, flipped[[each.row for each in found.suspects]]
    )


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--draws", type=int, default=10)
    arguments = parser.parse_args()
    quiet_libraries()
    data = {name: embedded(arguments.data, [name], base)[name] for name, base in _DATA.items()}
    settings = [(name, size, share) for name in _DATA for size in _SIZES for share in _FLIPPED]
    every = [(setting, seed) for setting in settings for seed in range(arguments.draws)]
    found = played(review, [(*data[name], size, share, seed) for (name, size, share), seed in every])
    reviews = {
        setting: [each for (of, _), each in zip(every, found, strict=True) if of == setting] for setting in settings
    }
    written = "\n".join(_table(reviews, arguments.draws)) + "\n"
    print(written)
    _RESULT.write_text(written, "utf-8")
    _draw(reviews)


def _table(reviews: dict[tuple[str, int, float], list[Review]], draws: int) -> list[str]:
    lines = [
        "# Finding wrong labels\n",
        f"`python -m benchmarks.labels`: labels were flipped to any other class at random; sums and shares of {draws} "
        "draws. The data sets' own errors count as right labels, also in the interval. Labels of classes with fewer "
        "than five are not compared, so that on banking77 up to 400 labels estimate and interval are of a part of "
        "them; –: fewer than 20 to compare in one of the draws.\n",
        "| data | labels | flipped | estimated, with 95 % interval (means) | interval holds the number "
        "| draws in which labels are shown | shown (mean) | of these flipped | of the flipped shown |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for (name, size, share), of in reviews.items():
        shown, right = (
            np.array([part(each) for each in of]) for part in (lambda r: len(r.shown), lambda r: r.shown.sum())
        )
        flipped = np.array([each.flipped for each in of])
        number, low, high = (np.mean([getattr(each, end) for each in of]) for end in ("number", "low", "high"))
        held = np.mean([each.low <= each.wrong <= each.high for each in of])
        estimate = f"{number:.0f} ({low:.0f} to {high:.0f})" if np.isfinite(high) else "–"
        cells = [
            name, str(size), f"{share:.0%} ({flipped.mean():.0f})", estimate,
            f"{held:.0%}" if np.isfinite(high) else "–", f"{np.mean(shown > 0):.0%}", f"{shown.mean():.1f}",
            f"{right.sum() / shown.sum():.0%}" if shown.any() else "–",
            f"{right.sum() / flipped.sum():.0%}" if flipped.any() else "–",
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _draw(reviews: dict[tuple[str, int, float], list[Review]]) -> None:
    """How many of the labels shown were flipped, over the number of labels."""
    picture = Figure(figsize=(9, 3.6), layout="constrained")
    for axes, share in zip(picture.subplots(1, 2, sharey=True), _FLIPPED[1:], strict=True):
        for name in _DATA:
            pooled = [np.concatenate([each.shown for each in reviews[name, size, share]]) for size in _SIZES]
            points = [(size, shown.mean()) for size, shown in zip(_SIZES, pooled, strict=True) if len(shown)]
            axes.plot(*zip(*points, strict=True), ".-", label=name)
        axes.axhline(0.5, color="k", linewidth=1, linestyle="--", label="one right label accused for each wrong one")
        axes.set(xlabel="labels", xscale="log", ylim=(0, 1.02), title=f"{share:.0%} of the labels flipped")
        axes.set_xticks(_SIZES, [str(size) for size in _SIZES])
        axes.grid(alpha=0.3)
    picture.axes[0].set_ylabel("of the labels shown, wrong")
    picture.axes[0].legend(fontsize="small", loc="lower right")
    picture.savefig(_RESULT.parent / "labels.png", dpi=110)


if __name__ == "__main__":
    main()

"""Precision of `lsal review`: how many of the labels shown first are wrong, with a tenth flipped on purpose.

    python -m benchmarks.labels --data FOLDER

FOLDER holds trec6/ and banking77/ with train.jsonl and test.jsonl each. Five draws per number of labels; one minute.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from backend.evaluation.labels import suspects
from backend.learners.heads import linear
from backend.runtime.libraries import quiet_libraries
from benchmarks.projects import embedded

Array = NDArray[Any]
_RESULT = Path(__file__).parent / "results" / "labels.md"
_SIZES = {"trec6": (500, 1000, 2000, 4000), "banking77": (1000, 2000, 4000)}
_TURNED = 0.1
_DRAWS = 5
_FIRST = (10, 50, 100)


def found(vectors: Array, targets: Array, size: int, seed: int) -> tuple[Array, int]:
    """Whether each suspect was flipped, the most likely error first; the number of flipped labels."""
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(vectors))[:size]
    classes = int(targets.max()) + 1
    turned = rng.random(size) < _TURNED
    given = np.where(turned, (targets[rows] + rng.integers(1, classes, size)) % classes, targets[rows])

    def probs(known: Array, labels: Array, others: Array) -> Array:
        return linear.fit(known, labels, classes).alone(others).astype(np.float64)

    return np.array([turned[each.row] for each in suspects(vectors[rows], given, probs)]), int(turned.sum())


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--base-model", default="minilm")
    arguments = parser.parse_args()
    quiet_libraries()
    data = embedded(arguments.data, list(_SIZES), arguments.base_model)
    lines = [
        "# Finding label errors\n",
        f"`python -m benchmarks.labels`: a tenth of the labels was flipped to another class at random; mean of "
        f"{_DRAWS} draws. Precision: fraction of the first labels shown that was flipped; the data sets' own errors "
        "count as correct.\n",
        f"| data | labels | flipped | shown | {' | '.join(f'precision of the first {k}' for k in _FIRST)} | recall |",
        f"|---|---|---|---|{'---|' * len(_FIRST)}---|",
    ]
    picture = Figure(figsize=(8, 4), layout="constrained")
    axes = picture.add_subplot()
    for name, sizes in _SIZES.items():
        for size in sizes:
            runs = [found(*data[name], size, seed) for seed in range(_DRAWS)]
            precision = [np.mean([right[:k].mean() for right, _ in runs]) for k in _FIRST]
            recall = np.mean([right.sum() / turned for right, turned in runs])
            shown = np.mean([len(right) for right, _ in runs])
            turned = np.mean([count for _, count in runs])
            cells = [name, str(size), f"{turned:.0f}", f"{shown:.0f}", *(f"{p:.2f}" for p in precision)]
            cells.append(f"{recall:.2f}")
            lines.append(f"| {' | '.join(cells)} |")
            most = min(200, *(len(right) for right, _ in runs))
            curve = np.mean([np.cumsum(right[:most]) / np.arange(1, most + 1) for right, _ in runs], axis=0)
            axes.plot(np.arange(1, most + 1), curve, "-" if name == "trec6" else "--", label=f"{name}, {size} labels")
    written = "\n".join(lines) + "\n"
    print(written)
    _RESULT.write_text(written, "utf-8")
    axes.axhline(_TURNED, color="k", linewidth=1, linestyle=":", label="labels in random order")
    axes.set(xlabel="labels checked, most likely errors first", ylabel="fraction that is wrong", ylim=(0, 1.02))
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    picture.savefig(_RESULT.parent / "labels.png", dpi=110)


if __name__ == "__main__":
    main()

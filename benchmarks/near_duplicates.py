"""How often texts that nearly repeat each other have the same label, by their similarity; and what finding them costs.

python -m benchmarks.near_duplicates --data FOLDER
"""

from __future__ import annotations

import argparse
import random
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import normalize

from backend.learners.models.base_model import BaseModel
from backend.pool.near_duplicates import MOST, SIMILAR, leaders
from backend.text_files import read_rows

BANDS = ((0.85, 0.90), (0.90, 0.93), (0.93, 0.95), (0.95, 0.97), (0.97, 1.01))
SETS = (("minilm", "banking77"), ("minilm", "trec6"), ("multilingual", "banking77"), ("multilingual", "trec6"),
        ("multilingual", "zh_waimai"))  # fmt: skip
_TEXTS = 3000
_RESULT = Path(__file__).parent / "results" / "near_duplicates.md"


def row(model: str, data: Path) -> str:
    """A row of the table."""
    rows = read_rows(data / "train.jsonl")
    random.Random(0).shuffle(rows)
    rows = rows[:_TEXTS]
    vectors = BaseModel(model).embed([each["text"] for each in rows], max_length=64)
    labels = np.array([str(each["label"]) for each in rows])
    cells = []
    for plain in (False, True):
        similar = _cosines(vectors if plain else vectors - vectors.mean(axis=0))
        first, second = np.triu_indices(len(rows), 1)
        values = similar[first, second]
        for low, high in BANDS:
            inside = (values >= low) & (values < high)
            same = (labels[first[inside]] == labels[second[inside]]).mean() if inside.any() else np.nan
            if not plain or low == SIMILAR:
                cells.append(f"{100 * same:.0f} % of {inside.sum()}" if inside.any() else "–")
    repeats = (leaders(vectors, SIMILAR) != np.arange(len(rows))).mean()
    return f"| {data.name} | {model} | {' | '.join(cells)} | {100 * repeats:.1f} % |"


def seconds() -> float:
    """Of comparing the largest pool, with random vectors, none of which repeats another: the slowest case."""
    vectors = np.random.default_rng(0).normal(size=(MOST, 384)).astype(np.float32)
    began = time.perf_counter()
    leaders(vectors, SIMILAR)
    return time.perf_counter() - began


def _cosines(vectors: NDArray[Any]) -> NDArray[np.float32]:
    unit = normalize(vectors).astype(np.float32)
    return unit @ unit.T


def main() -> None:
    """Write results/near_duplicates.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    data = parser.parse_args().data
    bands = " | ".join(f"{low:.2f} to {min(high, 1):.2f}" for low, high in BANDS)
    taken = sorted(seconds() for _ in range(3))[1]
    lines = [
        "# Near-duplicates",
        "",
        f"Pairs of {_TEXTS} texts by the cosine of their embeddings without the mean: the share with the same label, "
        "and the number of pairs. Beside it the same for cosines with the mean from 0.95 to 0.97, which one model "
        "gives to texts that are not alike. Last the share of texts that nearly repeat an earlier one "
        f"({SIMILAR}).",
        "",
        f"| data | base model | {bands} | with the mean | repeat |",
        "|---|---|" + "---|" * (len(BANDS) + 2),
        *(row(model, data / name) for model, name in SETS),
        "",
        f"Comparing {MOST:,} texts of which none repeats another takes {taken:.1f} s (two cores).",
    ]
    _RESULT.write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()

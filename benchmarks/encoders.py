"""Which packaged encoder reads a data set better, and whether its class names foretell it.

    python -m benchmarks.encoders --data FOLDER [--seeds 3] [--threads 2]

FOLDER is as for benchmarks.few_labels. The first table has probes with class names on random labels. The second
compares both encoders without labels on random subsets of the classes: right "by margin" is the accuracy if the encoder
with 1.25 times the margin is chosen.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers.utils import logging as transformers_logging

from backend.learners.heads import probe
from backend.learners.models.base_model import BaseModel
from backend.learners.models.languages import ANY, ENCODERS, ENGLISH, encoder_for
from backend.rounds.encoder import CLEARER
from backend.targets import Target
from benchmarks.few_labels import Data

_SIZES = (0, 20, 100, 300)
_SUBSETS = 30  # of each data set
_SAMPLE = 100  # texts whose margins are compared
Array = NDArray[Any]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    transformers_logging.disable_progress_bar()
    bases = [BaseModel(name) for name in ENCODERS]
    data = [Data.read(arguments.data / name, name) for name in ("zh_waimai", "trec6", "banking77", "sst2")]
    print("| | | margin | " + " | ".join(f"{size} labels" for size in _SIZES) + " |")
    print("|---" * (len(_SIZES) + 3) + "|")
    for each in data:
        by_language = encoder_for([text for text, _ in each.train[:256]])
        for base in bases:
            cells = [f"{cell:.3f}" if isinstance(cell, float) else cell for cell in _probe(base, each, arguments.seeds)]
            language = " (language)" if base.name == by_language else ""
            print(f"| {each.name} | {base.name}{language} | " + " | ".join(cells) + " |", flush=True)
    print("\n| subsets of | minilm | multilingual | by margin | best of both | multilingual chosen |")
    print("|---" * 6 + "|")
    _subsets(bases, data[2])
    _subsets(bases, Data.read(arguments.data / "trec6", "trec50", "fine"))


def _probe(base: BaseModel, data: Data, seeds: int) -> list[Any]:
    train, test = (base.embed([text for text, _ in rows], max_length=256) for rows in (data.train, data.test))
    names = base.embed(data.names, max_length=256)
    nothing = probe.fit_named(data.target, names, train[:0], [], train[:256])
    cells: list[Any] = [float(1 - nothing.doubt(train[:_SAMPLE]).mean())]
    for size in _SIZES:
        found = []
        for seed in range(seeds):
            rows = np.random.default_rng(seed).permutation(len(train))[:size]
            fitted = probe.fit_named(data.target, names, train[rows], [data.train[row][1] for row in rows], train[:256])
            found.append(_accuracy(fitted.probs(test), [data.target.classes.index(label) for _, label in data.test]))
        cells.append(f"{statistics.mean(found):.3f} ± {statistics.stdev(found) / len(found) ** 0.5:.3f}")
    return cells


def _subsets(bases: list[BaseModel], data: Data) -> None:
    rng = np.random.default_rng(0)
    rows = [*data.test, *data.train[:4000]]
    vectors = [base.embed([text for text, _ in rows], max_length=64) for base in bases]
    names = [base.embed(data.names, max_length=64) for base in bases]
    labels = np.array([data.target.classes.index(label) for _, label in rows])
    found, chosen = [], []
    while len(found) < _SUBSETS:
        classes = rng.choice(len(data.names), size=int(rng.integers(2, 13)), replace=False)
        texts = rng.permutation(np.flatnonzero(np.isin(labels, classes)))
        if len(texts) < _SAMPLE:
            continue
        target = Target("label", "classification", tuple(data.target.classes[row] for row in classes))
        truth = [list(classes).index(label) for label in labels[texts]]
        right, margins = {}, {}
        for base, of, named in zip(bases, vectors, names, strict=True):
            fitted = probe.fit_named(target, named[classes], of[:0], [], of[texts[:256]])
            right[base.name] = _accuracy(fitted.probs(of[texts]), truth)
            margins[base.name] = 1 - fitted.doubt(of[texts[:_SAMPLE]]).mean()
        by_margin = ANY if margins[ANY] > CLEARER * margins[ENGLISH] else ENGLISH
        found.append((right[ENGLISH], right[ANY], right[by_margin], max(right.values())))
        chosen.append(by_margin == ANY)
    means = " | ".join(f"{value:.3f}" for value in np.mean(found, axis=0))
    print(f"| {data.name} | {means} | {sum(chosen)} of {len(chosen)} |", flush=True)


def _accuracy(probs: Array, truth: list[int]) -> float:
    return float((probs.argmax(axis=1) == truth).mean())


if __name__ == "__main__":
    main()

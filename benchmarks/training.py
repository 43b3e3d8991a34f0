"""Warm start or training from scratch, and number of epochs: accuracy by round, and seconds of training.

    python -m benchmarks.training --data FOLDER [--seeds 3] [--rounds 100 200 300]

FOLDER holds train.jsonl and test.jsonl, one object with `text` and `label` per line. Labels are added at random, so
that only the training differs.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from pathlib import Path

import torch
from transformers.utils import logging as transformers_logging

from backend.learners.base import TrainingOptions
from backend.learners.learner import LoraLearner
from backend.learners.models.base_model import BaseModel
from backend.learners.training.train import train
from backend.targets import Target

_KINDS = {
    "from scratch": (False, TrainingOptions()),
    "from scratch, 5 epochs": (False, TrainingOptions(epochs=5)),
    "warm start": (True, TrainingOptions()),
    "warm start, 5 epochs": (True, TrainingOptions(epochs=5, min_steps=50)),
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rounds", type=int, nargs="+", default=[40, 100, 200])
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    transformers_logging.disable_progress_bar()
    rows = {name: _read(arguments.data / f"{name}.jsonl") for name in ("train", "test")}
    target = Target("topic", "classification", tuple(sorted({label for _, label in rows["train"]})))
    base = BaseModel("minilm")
    print(f"| kind | {' | '.join(f'{n} labels' for n in arguments.rounds)} | CPU-s a round |")
    print("|---" * (len(arguments.rounds) + 2) + "|")
    for kind, (warm, options) in _KINDS.items():
        curves, spent = [], []
        for seed in range(arguments.seeds):
            sample = random.Random(seed).sample(rows["train"], max(arguments.rounds))
            with tempfile.TemporaryDirectory() as folder:
                former, curve = None, []
                for count in arguments.rounds:
                    path = Path(folder) / str(count)
                    path.mkdir()
                    texts, labels = zip(*sample[:count], strict=True)
                    started = time.process_time()
                    values = [{"topic": label} for label in labels]
                    train(base, texts, values, [target], options, path, warm_start=former if warm else None)
                    spent.append(time.process_time() - started)
                    curve.append(_accuracy(LoraLearner.load(base, "benchmark", path), rows["test"]))
                    former = path
            curves.append(curve)
        means = [f"{statistics.mean(each):.3f} ± {statistics.pstdev(each):.3f}" for each in zip(*curves, strict=True)]
        print(f"| {kind} | {' | '.join(means)} | {statistics.mean(spent):.0f} |", flush=True)


def _read(path: Path) -> list[tuple[str, str]]:
    with path.open(encoding="utf-8") as file:
        return [(row["text"], row["label"]) for row in map(json.loads, file)]


def _accuracy(classifier: LoraLearner, rows: list[tuple[str, str]]) -> float:
    probs = classifier.score([text for text, _ in rows])["topic/probs"]
    hits = [
        classifier.targets[0].classes[row] == label for row, (_, label) in zip(probs.argmax(axis=1), rows, strict=True)
    ]
    return sum(hits) / len(hits)


if __name__ == "__main__":
    main()

"""What label names are worth for spans: F1 of exact spans after few labeled texts, with names and without.

    python -m benchmarks.span_names --data FOLDER [--seeds 5] [--threads 2]

FOLDER holds restaurant8k/ and wnut17/ with train.jsonl and test.jsonl. Names are the labels in words, without
descriptions.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

import numpy as np
import torch
from transformers.utils import logging as transformers_logging

from backend.evaluation.measures import measure
from backend.labelstudio.controls.class_texts import in_words
from backend.labelstudio.controls.spans import Spans
from backend.labelstudio.label_config.task_spec import Control
from backend.labelstudio.predictions import output_of
from backend.learners.base import TrainingOptions
from backend.learners.learner import LoraLearner
from backend.learners.models.base_model import BaseModel
from backend.learners.training.train import train
from benchmarks.kinds.data import Data, read

SIZES = (20, 50, 150)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    transformers_logging.disable_progress_bar()
    base = BaseModel("minilm")
    print("| | | " + " | ".join(f"{size} texts" for size in SIZES) + " |")
    print("|---" * (len(SIZES) + 2) + "|")
    for name in ("restaurant8k", "wnut17"):
        data = read(arguments.data / name, name, labels=2000, test=600)
        names = tuple(map(in_words, data.target.classes))
        for title, texts in (("without names", {}), ("with names", {name: names})):
            cells = []
            for size in SIZES:
                options = [TrainingOptions(seed=seed, class_texts=texts) for seed in range(arguments.seeds)]
                found = [score(base, data, size, each) for each in options]
                cells.append(f"{statistics.mean(found):.3f} ± {statistics.stdev(found) / len(found) ** 0.5:.3f}")
            print(f"| {name} | {title} | " + " | ".join(cells) + " |", flush=True)


def score(base: BaseModel, data: Data, size: int, options: TrainingOptions) -> float:
    """F1 on the test texts, after training on random ones."""
    order = np.random.default_rng(options.seed).permutation(len(data.train))[:size]
    texts, values = zip(*(data.train[place] for place in order), strict=True)
    target = data.target
    with tempfile.TemporaryDirectory() as folder:
        train(base, texts, [{target.name: value} for value in values], [target], options, Path(folder))
        learner = LoraLearner.load(base, "benchmark", Path(folder))
        outputs = learner.predict([text for text, _ in data.test])
        learner.unload()
    control = Control(target, "text", "labels")
    predicted = [Spans().predicted(control, target, output_of(target, outputs, row), text)[0]
                 for row, (text, _) in enumerate(data.test)]  # fmt: skip
    return float(measure(target, [value for _, value in data.test], predicted)["score"])


if __name__ == "__main__":
    main()

"""What a teacher adds to a local model: a noisy oracle of known accuracy in place of the served model.

    python -m benchmarks.teacher --data FOLDER [--seeds 2] [--set trec6] [--accuracy 0.6] … [--threads 2]

FOLDER holds trec6/ and sst2/ with train.jsonl and test.jsonl each; 2,000 texts of each are the pool. The oracle answers
each text once: right with the given probability, else mostly with one of two classes that it confuses with the true
one, and somewhat less confidently. Labels are drawn at random; all arms learn from the same ones, and know the class
names. The calls are spread evenly over the numbers of labels. Some hours on two cores.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers.utils import logging as transformers_logging

from backend.learners.base import Progress, TrainingOptions, no_progress
from backend.learners.heads.probe import Probe
from backend.learners.learner import LoraLearner
from backend.learners.models.base_model import BaseModel
from backend.learners.served.model import ServedModel
from backend.learners.served.prompts import LETTERS, Prompt
from backend.learners.served.server import FirstTokens, Message, Tokens
from backend.learners.served.soft_labels import Labels, soft_labels
from backend.learners.served.training import prompt_for
from backend.learners.training.train import train
from benchmarks.few_labels import Data

Found = dict[tuple[str, float, int, str], list[float]]  # by data, accuracy, labels and arm: accuracy per seed

_RESULTS = Path(__file__).parent / "results" / "teacher.md"
_LABELS, _TEST = (0, 20, 60, 150), 500
ARMS = {"10 % of the calls": (0.1, False), "10 %, the most doubtful": (0.1, True), "all calls": (1.0, False)}
_POOL = 2000


class _Oracle:
    """In place of `Server`."""

    digest, at_once = "oracle", 1

    def __init__(self, data: Data, accuracy: float, seed: int) -> None:
        self._data, self._accuracy, self._seed = data, accuracy, seed
        self._true = {text: data.target.classes.index(label) for text, label in (*data.train, *data.test)}

    def first_tokens(
        self, model: str, conversations: Sequence[Sequence[Message]], progress: Progress = no_progress
    ) -> tuple[list[FirstTokens], Tokens]:
        """The letters' log-probabilities."""
        found = []
        for conversation in conversations:
            text = conversation[-1]["content"].removeprefix("Text:\n").removesuffix("\n\nLetter:")
            found.append(dict(zip(LETTERS, np.log(self.probs(text)).tolist(), strict=False)))
        return found, Tokens()

    def probs(self, text: str) -> NDArray[np.float64]:
        """Its answer: (C,)."""
        digest = blake2b(f"{self._seed}:{text}".encode(), digest_size=8).digest()
        rng, true = np.random.default_rng(int.from_bytes(digest, "big")), self._true[text]
        classes = len(self._data.target.classes)
        others = [(true + step) % classes for step in range(1, classes)]
        right = rng.random() < self._accuracy
        likely = np.array([0.4, 0.3, *[0.3 / max(1, classes - 3)] * (classes - 3)])[: classes - 1]
        answer = true if right else int(rng.choice(others, p=likely / likely.sum()))
        confidence = rng.beta(8, 1) if right else rng.beta(4, 1)
        found = np.full(classes, (1 - confidence) / (classes - 1))
        found[answer] = max(confidence, 1.0 / classes)
        return np.asarray(found / found.sum())


class _Student:
    """One arm: adapters of growing numbers of labels, each taught with the help of the one before."""

    def __init__(
        self, base: BaseModel, data: Data, seed: int, teacher: ServedModel | None, share: float, doubtful: bool
    ) -> None:
        self.base, self.data, self.teacher, self.doubtful = base, data, teacher, doubtful
        self.calls = int(share * len(data.train))
        self.options = TrainingOptions(seed=seed, class_texts={data.target.name: data.names}, shots=16)
        self.former: tuple[LoraLearner, int] | None = None  # the adapter before, and its number of labels
        self.prompt: Prompt | None = None
        self.answered: list[int] = []  # rows of the texts that the teacher answered

    def learn(self, rows: Sequence[int], sample: NDArray[Any], part: float, folder: Path) -> LoraLearner:
        """Train on the labels of these rows. part: of the calls that may be used by now."""
        target, texts = self.data.target, [self.data.train[row][0] for row in rows]
        values = [{target.name: self.data.train[row][1]} for row in rows]
        soft = self._taught(rows, part) if self.teacher is not None else ([], [])
        folder.mkdir()
        train(self.base, texts, values, [target], replace(self.options, shots=0), folder, unlabeled=sample, soft=soft)
        self.former = LoraLearner.load(self.base, folder.name, folder), len(rows)
        return self.former[0]

    def _taught(self, rows: Sequence[int], part: float) -> tuple[list[str], list[Any]]:
        assert self.teacher is not None
        target, train_part = self.data.target, self.data.train
        texts = [train_part[row][0] for row in rows]
        values = [{target.name: train_part[row][1]} for row in rows]
        self.prompt = prompt_for(target, texts, values, self.options, self.prompt)
        shown = {text for text, _ in self.prompt.examples}
        self._ask(set(rows), int(part * self.calls))
        pool = [row for row in self.answered if row not in set(rows)]
        known = [row for row in rows if train_part[row][0] not in shown]
        all_ = [*known, *pool]
        answers = self.teacher.answers(self.prompt, [train_part[row][0] for row in all_], 256, None)
        labels = Labels(range(len(known)), [train_part[row][1] for row in known])
        teacher = soft_labels(self.prompt, answers, labels)
        right = [target.classes[each] == train_part[row][1]
                 for row, each in zip(pool, teacher[len(known) :].argmax(axis=1), strict=True)]  # fmt: skip
        print(f"    {len(rows)} labels: {len(pool)} soft labels, {np.mean(right):.3f} right", flush=True)
        soft = [{target.name: dict(zip(target.classes, row.tolist(), strict=True))} for row in teacher[len(known) :]]
        return [train_part[row][0] for row in pool], soft

    def _ask(self, labeled: set[int], calls: int) -> None:
        """Choose the texts for more calls: at random, or those that the former adapter doubts most."""
        left = [row for row in range(len(self.data.train)) if row not in labeled and row not in set(self.answered)]
        order = np.random.default_rng(self.options.seed).permutation(len(left))
        if self.doubtful and self.former is not None:
            probs = self.former[0].predict([self.data.train[row][0] for row in left])[f"{self.data.target.name}/probs"]
            order = np.argsort(-Probe(lambda block: block).doubt(probs), kind="stable")
        self.answered += [left[place] for place in order[: max(0, calls - len(self.answered))]]


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--set", action="append", choices=["trec6", "sst2"])
    parser.add_argument("--accuracy", action="append", type=float)
    parser.add_argument("--arm", action="append", choices=list(ARMS))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    transformers_logging.disable_progress_bar()
    base = BaseModel("minilm")
    found: Found = defaultdict(list)
    for seed in range(arguments.seeds):
        for name in arguments.set or ("trec6", "sst2"):
            data = Data.read(arguments.data / name, name)
            pool = np.random.default_rng(seed).permutation(len(data.train))[:_POOL]
            data = replace(data, train=[data.train[row] for row in pool])
            for accuracy in (0.0, *(arguments.accuracy or (0.6, 0.75, 0.9))):
                _measure(base, data, accuracy, seed, arguments.arm or list(ARMS), found)
            _RESULTS.write_text(_page(found), "utf-8")
            print(_page(found), flush=True)


def _measure(base: BaseModel, data: Data, accuracy: float, seed: int, arms: Sequence[str], found: Found) -> None:
    """accuracy: 0 measures the local model alone."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(data.train))[: max(_LABELS)].tolist()
    test = [data.test[row] for row in rng.permutation(len(data.test))[:_TEST]]
    sample = base.embed([text for text, _ in data.train[:256]], max_length=256)
    oracle = _Oracle(data, accuracy, seed)
    teacher = ServedModel("openai:oracle", oracle, lambda: base)  # type: ignore[arg-type]
    truth = np.array([data.target.classes.index(label) for _, label in test])
    if accuracy:
        own = np.array([oracle.probs(text).argmax() for text, _ in test])
        found[data.name, accuracy, 0, "teacher alone"].append(float((own == truth).mean()))
    for arm in arms if accuracy else ["local alone"]:
        student = _Student(base, data, seed, teacher if accuracy else None, *ARMS.get(arm, (0, False)))
        with tempfile.TemporaryDirectory() as place:
            for step, count in enumerate(_LABELS, start=1):
                began = time.monotonic()
                learner = student.learn(order[:count], sample, step / len(_LABELS), Path(place) / f"{count}")
                probs = learner.predict([text for text, _ in test])[f"{data.target.name}/probs"]
                right = float((probs.argmax(axis=1) == truth).mean())
                found[data.name, accuracy, count, arm].append(right)
                print(
                    f"{data.name} {accuracy} {arm} {count}: {right:.3f} ({time.monotonic() - began:.0f} s)", flush=True
                )


def _page(found: Found) -> str:
    """The figures, and their means over the numbers of labels."""
    columns = ["teacher alone", "local alone", *ARMS]
    seeds = max(map(len, found.values()))
    lines = [
        "# A teacher and a local model", "",
        f"Written by `python -m benchmarks.teacher --data FOLDER`: accuracy on {_TEST} test texts, mean of {seeds} "
        f"seed(s), all-MiniLM-L6-v2, a pool of {_POOL:,} texts. The teacher is a noisy oracle: its own accuracy is the "
        "third column.", "",
        "| data | labels | " + " | ".join(columns) + " |", "|---" * (2 + len(columns)) + "|",
    ]  # fmt: skip

    def value(name: str, accuracy: float, count: int, arm: str) -> float | None:
        key = {"teacher alone": (name, accuracy, 0, arm), "local alone": (name, 0.0, count, arm)}
        values = found.get(key.get(arm, (name, accuracy, count, arm)))
        return statistics.mean(values) if values else None

    means = []
    for name, accuracy in dict.fromkeys((name, accuracy) for name, accuracy, *_ in found if accuracy):
        rows = [[value(name, accuracy, count, arm) for arm in columns] for count in _LABELS]
        for count, row in zip(_LABELS, rows, strict=True):
            lines.append(f"| {name} | {count} | " + " | ".join("" if x is None else f"{x:.3f}" for x in row) + " |")
        of_arms = [None if None in column else statistics.mean(column) for column in zip(*rows, strict=True)]  # type: ignore[type-var]
        means.append(f"| {name} | all | " + " | ".join("" if x is None else f"{x:.3f}" for x in of_arms) + " |")
    return "\n".join([*lines, *means]) + "\n"


if __name__ == "__main__":
    main()

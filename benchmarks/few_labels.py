"""What class names are worth: accuracy without labels, with few labels, and the seconds of a training.

    python -m benchmarks.few_labels --data FOLDER [--seeds 5] [--part zero] [--set trec6] … [--threads 2]

FOLDER holds a folder for each data set with train.jsonl and test.jsonl. Every figure has its counterpart from before
class names ("before") in the same run.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import f1_score
from transformers.utils import logging as transformers_logging

from backend.demo import tickets
from backend.labelstudio.controls.class_texts import in_words
from backend.learners.base import TrainingOptions
from backend.learners.heads import probe
from backend.learners.heads.map_head import Fixed, set_weights
from backend.learners.heads.refit import refit
from backend.learners.learner import LoraLearner
from backend.learners.models.base_model import BaseModel
from backend.learners.models.languages import encoder_for
from backend.learners.training.train import train
from backend.options import ProjectOptions
from backend.simulation.learners import Probe
from backend.simulation.replay import replay
from backend.simulation.runs import Run, Task
from backend.targets import Target

DESCRIPTIONS = {
    "ABBR": "abbreviation", "ENTY": "entity", "DESC": "description", "HUM": "human", "LOC": "location", "NUM": "number",
}  # fmt: skip
BEFORE = TrainingOptions(min_steps=100, lora_layers="all", epochs=10)
NOW = TrainingOptions()
SHOWN = 1000  # test texts that an adapter is measured on


@dataclass(frozen=True)
class Data:
    """Texts and labels of one data set; the classes in words."""

    name: str
    train: Sequence[tuple[str, Any]]
    test: Sequence[tuple[str, Any]]
    target: Target
    names: tuple[str, ...]

    @classmethod
    def read(cls, folder: Path, name: str, field: str = "label", several: bool = False) -> Data:
        """Read train.jsonl and test.jsonl; texts whose label the training data lacks are left out."""
        rows = {}
        for part in ("train", "test"):
            with (folder / f"{part}.jsonl").open(encoding="utf-8") as file:
                rows[part] = [(row["text"], row[field]) for row in map(json.loads, file)]
        labels = rows["train"]
        classes = tuple(sorted({each for _, label in labels for each in (label if several else [label])}))
        rows["test"] = [row for row in rows["test"] if several or row[1] in classes]
        names = tuple(
            " ".join(DESCRIPTIONS.get(part, in_words(part) or part) for part in label.split(":")) for label in classes
        )
        target = Target("label", "multilabel" if several else "classification", classes)
        return cls(name, rows["train"], rows["test"], target, names)


def _tickets() -> Data:
    """The demo's."""
    rows = [(ticket.text, ticket.topic) for ticket in tickets.TICKETS.write(1400, seed=1)]
    target = Target("label", "classification", tuple(sorted(tickets.TOPICS)))
    return Data("tickets", rows[:400], rows[400:], target, tuple(name.lower() for name in target.classes))


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--part", choices=list(PARTS), action="append")
    parser.add_argument("--set", action="append", help="a data set; default: all")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    transformers_logging.disable_progress_bar()
    base = BaseModel("minilm")
    data = {name: Data.read(arguments.data / name, name) for name in ("banking77", "trec6", "sst2")}
    data["trec50"] = Data.read(arguments.data / "trec6", "trec50", "fine")
    data["goemotions"] = Data.read(arguments.data / "goemotions", "goemotions", "labels", several=True)
    data["tickets"] = _tickets()
    data["zh_waimai"] = Data.read(arguments.data / "zh_waimai", "zh_waimai")
    for part in arguments.part or PARTS:
        print(f"\n## {PARTS[part].__doc__}\n", flush=True)
        PARTS[part](
            base, {name: each for name, each in data.items() if name in (arguments.set or data)}, arguments.seeds
        )


def zero(base: BaseModel, data: dict[str, Data], _seeds: int) -> None:
    """Accuracy without any label"""  # noqa: D400, D415
    found = {}
    for name in filter(data.__contains__, ("banking77", "trec6", "sst2", "trec50")):
        each = data[name]
        named = probe.fit_named(each.target, _embed(base, each.names), np.empty((0, base.dimensions), np.float32), [],
                                _embed(base, [text for text, _ in each.train[:256]]))  # fmt: skip
        found[name] = _accuracy(each, named.probs(_embed(base, [text for text, _ in each.test])), each.test)
    print("| " + " | ".join(found) + " | mean of the first three |")
    print("|---" * (len(found) + 1) + "|")
    figures = [*found.values(), statistics.mean([*found.values()][:3])]
    print("| " + " | ".join(f"{value:.3f}" for value in figures) + " |", flush=True)


def area(base: BaseModel, data: dict[str, Data], seeds: int) -> None:
    """Area under the accuracy curve of a probe, 0 to 300 labels in batches of 20"""  # noqa: D400, D415
    kinds: dict[str, tuple[dict[str, Any], bool]] = {
        "random, no names": ({"strategy": "random"}, False),
        "before": ({"strategy": "margin"}, False),
        "names, random": ({"strategy": "random"}, True),
        "names, margin": ({"strategy": "margin"}, True),
        "names, uncertainty_herding": ({"strategy": "uncertainty_herding"}, True),
    }
    print("| | " + " | ".join(kinds) + " |")
    print("|---" * (len(kinds) + 1) + "|")
    for name in filter(data.__contains__, ("trec6", "banking77", "sst2", "trec50")):
        each = data[name]
        vectors = [_embed(base, [text for text, _ in rows]) for rows in (each.train, each.test)]
        rows_of = {label: row for row, label in enumerate(each.target.classes)}
        numbers = [np.array([rows_of[label] for _, label in rows]) for rows in (each.train, each.test)]
        task = Task(numbers[0], numbers[1], len(each.target.classes), 15, 20)
        cells = []
        for params, named in kinds.values():
            options = ProjectOptions.from_extra_params({**params, "class_names": named})
            names = _embed(base, each.names) if named else None
            areas = [_area(Probe(*vectors, each.target.classes, names), task, options, seed) for seed in range(seeds)]
            cells.append(f"{statistics.mean(areas):.3f} ± {statistics.stdev(areas) / len(areas) ** 0.5:.3f}")
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def _area(learner: Probe, task: Task, options: ProjectOptions, seed: int) -> float:
    name = "default" if options.strategy == "margin" else str(options.strategy)
    seeded = options.model_copy(update={"seed": seed})
    run = replay(Run(name, seed), learner, task, seeded, lambda _: None)
    first = 1 / task.classes
    if learner.named:
        learner.fit(np.empty(0, np.int64), np.empty(0, np.int64), seeded, _NoCommittee())
        first = float((learner.test().argmax(axis=1) == task.test_targets).mean())
    curve = [first, *(each["accuracy"] for each in run.curve)]
    return float(np.trapezoid(curve) / (len(curve) - 1))


class _NoCommittee:
    name, requires = "none", frozenset[str]()

    def select(self, *_: Any) -> Any:
        raise NotImplementedError


def adapters(base: BaseModel, data: dict[str, Data], seeds: int) -> None:
    """Accuracy of adapters on random labels, micro-F1 for several labels"""  # noqa: D400, D415
    sizes = (20, 60, 100, 150)
    print("| | | " + " | ".join(f"{size} labels" for size in sizes) + " |")
    print("|---" * (len(sizes) + 2) + "|")
    for name in filter(data.__contains__, ("zh_waimai", "banking77", "trec6", "sst2", "tickets", "goemotions")):
        reader = BaseModel(encoder_for([text for text, _ in data[name].train[:256]])) if name == "zh_waimai" else base
        for kind, options in {"before": BEFORE, "now": replace(NOW, class_texts={"label": data[name].names})}.items():
            cells = []
            for size in sizes:
                by = base if kind == "before" else reader
                found = [_trained(by, data[name], options, size, seed)[0] for seed in range(seeds)]
                cells.append(f"{statistics.mean(found):.3f} ± {statistics.stdev(found) / len(found) ** 0.5:.3f}")
            print(f"| {name} | {kind} | " + " | ".join(cells) + " |", flush=True)


def refitted(base: BaseModel, data: dict[str, Data], seeds: int) -> None:
    """Accuracy of an adapter whose head is refitted on random labels that came after it"""  # noqa: D400, D415
    more = (0, 5, 10, 19)
    print("| | labels of the adapter | " + " | ".join(f"+{count}" if count else "as trained" for count in more) + " |")
    print("|---" * (len(more) + 2) + "|")
    for name in filter(data.__contains__, ("trec6", "banking77", "sst2")):
        each, options = data[name], replace(NOW, class_texts={"label": data[name].names})
        for size in (0, 20, 60):
            found = [_refitted(base, each, replace(options, seed=seed), size, more) for seed in range(seeds)]
            cells = [f"{statistics.mean(values):.3f}" for values in zip(*found, strict=True)]
            print(f"| {name} | {size} | " + " | ".join(cells) + " |", flush=True)


def _refitted(base: BaseModel, data: Data, options: TrainingOptions, size: int, more: Sequence[int]) -> list[float]:
    rows = np.random.default_rng(options.seed).permutation(len(data.train))
    texts, values = zip(*(data.train[row] for row in rows[: size + max(more)]), strict=True)
    others = [data.train[row][0] for row in rows[-256:]]
    with tempfile.TemporaryDirectory() as name:
        labeled = [{"label": value} for value in values[:size]]
        train(base, texts[:size], labeled, [data.target], options, Path(name) / "a", unlabeled=_embed(base, others))
        learner = LoraLearner.load(base, "refitted", Path(name) / "a")
    shown = list(data.test[:SHOWN])
    test, known, sample = (
        learner.score(some, ["features"])["features"] for some in ([text for text, _ in shown], texts, others)
    )
    found = []
    weights = [each.detach().clone() for each in (learner.heads[0].linear.weight, learner.heads[0].linear.bias)]
    for count in more:
        set_weights(learner.heads[0], *weights)
        if count:
            refit(learner.heads[0], sample, known[size : size + count], values[size : size + count])
        with torch.inference_mode():
            probs = learner.heads[0].outputs(Fixed.of(torch.from_numpy(test)))["probs"].numpy()
        found.append(_accuracy(data, probs, shown))
    learner.unload()
    return found


def shuffled(base: BaseModel, data: dict[str, Data], seeds: int) -> None:
    """Accuracy with names that mislead, at 60 random labels"""  # noqa: D400, D415
    print("| | no names | shuffled | A, B, C … |")
    print("|---|---|---|---|")
    for name in filter(data.__contains__, ("trec6", "sst2", "banking77")):
        each = data[name]
        cells = []
        for names in (None, each.names[1:] + each.names[:1], tuple(f"class x{i}" for i in range(len(each.names)))):
            options = NOW if names is None else replace(NOW, class_texts={"label": names})
            found = [_trained(base, each, options, 60, seed)[0] for seed in range(seeds)]
            cells.append(f"{statistics.mean(found):.3f} ± {statistics.stdev(found) / len(found) ** 0.5:.3f}")
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def seconds(base: BaseModel, data: dict[str, Data], seeds: int) -> None:
    """CPU-seconds of a training on texts of 50 word pieces, in turn"""  # noqa: D400, D415
    each = data["sst2"]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    print("| labels | before | now | ratio |")
    print("|---|---|---|---|")
    for size in (18, 100):
        spent: dict[str, list[float]] = {"before": [], "now": []}
        for seed in range(seeds):
            for kind, options in {"before": BEFORE, "now": replace(NOW, class_texts={"label": each.names})}.items():
                spent[kind].append(_trained(base, each, options, size, seed, pieces=50)[1])
        before, now = (statistics.median(spent[kind]) for kind in ("before", "now"))
        print(f"| {size} | {before:.1f} | {now:.1f} | {now / before:.2f} |", flush=True)
    torch.set_num_threads(threads)


def _trained(
    base: BaseModel, data: Data, options: TrainingOptions, size: int, seed: int, pieces: int | None = None
) -> tuple[float, float]:
    """The score of an adapter trained on random labels, and the CPU-seconds of the training."""
    order = np.random.default_rng(seed).permutation(len(data.train))
    rows = [data.train[place] for place in order[:size]]
    if pieces is not None:  # several texts joined
        rows = [(" ".join([text] * 10), label) for text, label in rows]
        options = replace(options, max_length=pieces)
    sample = _embed(base, [data.train[place][0] for place in order[-256:]])  # a project has it anyway
    with tempfile.TemporaryDirectory() as folder:
        started = time.process_time()
        texts, values = [text for text, _ in rows], [{"label": label} for _, label in rows]
        train(base, texts, values, [data.target], replace(options, seed=seed), Path(folder), unlabeled=sample)
        spent = time.process_time() - started
        if pieces is not None:
            return 0.0, spent
        learner = LoraLearner.load(base, "benchmark", Path(folder))
        shown = [data.test[place] for place in np.random.default_rng(0).permutation(len(data.test))[:SHOWN]]
        probs = learner.score([text for text, _ in shown])["label/probs"]
        learner.unload()
    return _accuracy(data, probs, shown), spent


def _accuracy(data: Data, probs: Any, rows: Sequence[tuple[str, Any]]) -> float:
    if data.target.kind == "multilabel":
        truth = np.array([[name in label for name in data.target.classes] for _, label in rows])
        return float(f1_score(truth, probs >= 0.5, average="micro", zero_division=0.0))
    return float(np.mean([data.target.classes[best] == label for best, (_, label) in zip(probs.argmax(axis=1), rows,
                                                                                         strict=True)]))  # fmt: skip


def _embed(base: BaseModel, texts: Sequence[str]) -> Any:
    return base.embed(texts, max_length=256)


PARTS: dict[str, Callable[[BaseModel, dict[str, Data], int], None]] = {
    "zero": zero, "area": area, "adapters": adapters, "refitted": refitted, "shuffled": shuffled, "seconds": seconds,
}  # fmt: skip

if __name__ == "__main__":
    main()

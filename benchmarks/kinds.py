"""Each kind of label on real data: LoRA, full fine-tuning by transformers' own Trainer, and a trivial baseline.

    python -m benchmarks.kinds --data FOLDER [--only trec6 goemotions] [--labels 400] [--threads 2]

FOLDER holds trec6/, goemotions/, stsb/, restaurant8k/ and wnut17/ with train.jsonl and test.jsonl each. Both train the
same base model on the same texts, each in a process of its own; the Trainer may choose the better of two learning rates
by its test score, which favours it. Writes benchmarks/results/kinds.md.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification, Trainer, TrainingArguments

from backend.cli import quiet_libraries
from backend.labelstudio.controls import BY_KIND
from backend.labelstudio.controls.numbers import within
from backend.labelstudio.task_spec import Control
from backend.learners.base import TrainingOptions
from backend.learners.base_model import BaseModel
from backend.learners.kinds import head_of
from backend.learners.kinds.spans import SpansHead, decode
from backend.learners.learner import Learner
from backend.learners.packaged import resolve
from backend.learners.training import train
from backend.rounds.measures import best_threshold, measure
from backend.targets import Target
from benchmarks.measure import Cost, status
from benchmarks.measure import measure as cost_of

_RESULTS = Path(__file__).parent / "results" / "kinds.md"
_HELD_OUT, _TEST, _EPOCHS = 150, 800, 10
_RATES = (1e-4, 4e-4)  # of full fine-tuning
_KINDS = {"trec6": "classification", "goemotions": "multilabel", "stsb": "regression", "restaurant8k": "spans",
          "wnut17": "spans"}  # fmt: skip


class Data(NamedTuple):
    """A target, and texts with the value of each: to train on, to tune a threshold on, to test on."""

    target: Target
    train: list[tuple[str, Any]]
    held_out: list[tuple[str, Any]]
    test: list[tuple[str, Any]]


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=list(_KINDS), default=list(_KINDS))
    parser.add_argument("--labels", type=int, default=400)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    lines = [
        f"# Each kind of label, learned from {arguments.labels} texts\n",
        "Written by `python -m benchmarks.kinds`: all-MiniLM-L6-v2, one seed, ten epochs for both; in brackets 95 % "
        "intervals over the test texts.\nTime and extra memory of training, LoRA over full fine-tuning. For the mean "
        "absolute error (mae) less is better, and the share is turned round.\n",
        "| data | kind | score | trivial | full fine-tuning | LoRA | LoRA / full | time | memory |",
        "|---" * 9 + "|",
    ]
    for name in arguments.only:
        data = read(arguments.data / name, name, arguments.labels)
        ours = cost_of(prepare_ours, data, threads=arguments.threads)
        theirs = [cost_of(prepare_theirs, data, rate, threads=arguments.threads) for rate in _RATES]
        lines.append(_row(name, data, ours, theirs))
        print(lines[-1], flush=True)
    _RESULTS.write_text("\n".join([*lines, ""]), "utf-8")


def read(folder: Path, name: str, labels: int) -> Data:
    """The first texts of a shuffled training set, and of the test set."""
    rows = {part: [_example(name, json.loads(line)) for line in (folder / f"{part}.jsonl").open(encoding="utf-8")]
            for part in ("train", "test")}  # fmt: skip
    for part in rows.values():
        random.Random(0).shuffle(part)
    values = [value for _, value in rows["train"]]
    kind = _KINDS[name]
    if kind == "regression":
        target = Target(name, "regression", low=0, high=5)
    elif kind == "classification":
        target = Target(name, "classification", tuple(sorted(set(values))))
    elif kind == "multilabel":
        target = Target(name, "multilabel", tuple(sorted({each for value in values for each in value})))
    else:
        target = Target(name, "spans", tuple(sorted({span[2] for value in values for span in value})))
    return Data(target, rows["train"][:labels], rows["train"][labels : labels + _HELD_OUT], rows["test"][:_TEST])


def _example(name: str, row: dict[str, Any]) -> tuple[str, Any]:
    if name == "trec6":
        return row["text"], row["label"]
    if name == "goemotions":
        return row["text"], sorted(row["labels"])
    if name == "stsb":  # as two <Text> tags are read
        return f"a: {row['text_a']}\nb: {row['text_b']}", float(row["score"])
    if name == "restaurant8k":
        return row["text"], sorted([s["start"], s["end"], s["label"]] for s in row["spans"])
    text, spans = "", []
    for token, tag in zip(row["tokens"], row["tags"], strict=True):
        start = len(text)
        text += token + " "
        if tag.startswith("I-") and spans:
            spans[-1][1] = start + len(token)
        elif tag != "O":
            spans.append([start, start + len(token), tag[2:]])
    return text, spans


def prepare_ours(data: Data) -> Callable[[], dict[str, Any]]:
    """The product's training."""
    quiet_libraries()
    base = BaseModel("minilm")
    kept = tempfile.TemporaryDirectory()
    texts, values = [text for text, _ in data.train], [{data.target.name: value} for _, value in data.train]
    train(base, texts[:32], values[:32], [data.target], TrainingOptions(min_steps=1, max_steps=1), Path(kept.name))

    def call() -> dict[str, Any]:
        folder = Path(kept.name)
        cost = _trained(lambda: train(base, texts, values, [data.target], TrainingOptions(epochs=_EPOCHS), folder))
        learner = Learner.load(base, "ours", folder)

        def outputs(texts: Sequence[str]) -> dict[str, Any]:
            return {name.rpartition("/")[2]: array for name, array in learner.predict(texts).items()}

        return {**_score(data, outputs), **cost}

    return call


def prepare_theirs(data: Data, rate: float) -> Callable[[], dict[str, Any]]:
    """All weights, by transformers' Trainer with its head for the kind."""
    quiet_libraries()
    target, base = data.target, BaseModel("minilm")
    path, tokenizer = resolve("minilm"), base.tokenizer
    problem = {"classification": "single_label_classification", "multilabel": "multi_label_classification",
               "regression": "regression"}  # fmt: skip
    torch.manual_seed(0)
    if target.kind == "spans":
        model = AutoModelForTokenClassification.from_pretrained(path, num_labels=2 * len(target.classes) + 1)
    else:
        model = AutoModelForSequenceClassification.from_pretrained(
            path, num_labels=max(1, len(target.classes)), problem_type=problem[target.kind]
        )
    head = head_of(target, 1)

    def rows(examples: Sequence[tuple[str, Any]]) -> list[dict[str, Any]]:
        found = []
        for text, value in examples:
            encoded = tokenizer(
                text, truncation=True, max_length=256, return_offsets_mapping=isinstance(head, SpansHead)
            )
            if isinstance(head, SpansHead):
                encoded["labels"] = head.tags(torch.tensor(encoded.pop("offset_mapping")), value).tolist()
            elif target.kind == "classification":
                encoded["labels"] = target.classes.index(value)
            else:
                many = target.kind == "multilabel"
                encoded["labels"] = [float(name in value) for name in target.classes] if many else value / 5
            found.append(dict(encoded))
        return found

    def collate(examples: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        plain = [{name: each[name] for name in ("input_ids", "attention_mask")} for each in examples]
        batch = dict(tokenizer.pad(plain, return_tensors="pt"))
        labels = [each["labels"] for each in examples]
        if target.kind == "spans":
            length = batch["input_ids"].shape[1]
            labels = [each + [-100] * (length - len(each)) for each in labels]
        batch["labels"] = torch.tensor(labels)
        return batch

    kept = tempfile.TemporaryDirectory()
    settings = TrainingArguments(
        kept.name, num_train_epochs=_EPOCHS, per_device_train_batch_size=16, learning_rate=rate, seed=0,
        warmup_steps=25, save_strategy="no", report_to=[], logging_strategy="no", disable_tqdm=True, use_cpu=True,
        dataloader_pin_memory=False,
    )  # fmt: skip
    trainer = Trainer(model, settings, train_dataset=rows(data.train), data_collator=collate)

    def call() -> dict[str, Any]:
        cost = _trained(trainer.train)
        model.eval()

        def outputs(texts: Sequence[str]) -> dict[str, Any]:
            logits = []
            with torch.inference_mode():
                for text in texts:
                    encoded = tokenizer(text, truncation=True, max_length=256, return_tensors="pt")
                    logits.append(model(**encoded).logits[0].float())
            if target.kind == "spans":
                return _spans(tokenizer, texts, logits)
            stacked = torch.stack(logits)
            if target.kind == "regression":
                return {"value": stacked[:, 0].numpy() * 5}
            many = target.kind == "multilabel"
            return {"probs": (torch.sigmoid(stacked) if many else torch.softmax(stacked, dim=1)).numpy()}

        return {**_score(data, outputs), **cost}

    return call


def _trained(training: Callable[[], Any]) -> dict[str, float]:
    """Seconds and extra memory of the training alone."""
    before, started = status("VmRSS"), time.perf_counter()
    training()
    return {"seconds": time.perf_counter() - started, "extra": status("VmHWM") - before}


def _spans(tokenizer: Any, texts: Sequence[str], logits: Sequence[torch.Tensor]) -> dict[str, Any]:
    found = []
    for text, each in zip(texts, logits, strict=True):
        offsets = tokenizer(text, truncation=True, max_length=256, return_offsets_mapping=True)["offset_mapping"]
        best, tags = torch.softmax(each, dim=1).max(dim=1)
        found.append(decode(tags.tolist(), best.tolist(), offsets, text))
    most = max(map(len, found))
    spans, probs = np.zeros((len(texts), most, 3), dtype=np.int64), np.zeros((len(texts), most))
    for row, spans_of in enumerate(found):
        for place, span in enumerate(spans_of):
            spans[row, place], probs[row, place] = span[:3], span.probability
    return {"spans": spans, "span_probs": probs}


def _score(data: Data, outputs: Callable[[Sequence[str]], dict[str, Any]]) -> dict[str, Any]:
    """On the test texts; the threshold of several labels is tuned on the held-out ones."""
    target = data.target
    if target.kind == "multilabel":
        present = np.array([[name in value for name in target.classes] for _, value in data.held_out])
        threshold = best_threshold(outputs([text for text, _ in data.held_out])["probs"], present)
        target = Target(target.name, target.kind, target.classes, threshold=threshold)
    arrays = outputs([text for text, _ in data.test])
    control = Control(target, "text", "")
    predicted = [
        BY_KIND[target.kind].predicted(control, target, {name: a[row] for name, a in arrays.items()}, text)[0]
        for row, (text, _) in enumerate(data.test)
    ]
    return measure(target.kind, [value for _, value in data.test], predicted)


def trivial(data: Data) -> dict[str, Any]:
    """Majority class, most frequent label, mean, or every name seen in training wherever it stands."""
    target, values = data.target, [value for _, value in data.train]
    predicted: list[Any]
    if target.kind == "classification":
        predicted = [Counter(values).most_common(1)[0][0]] * len(data.test)
    elif target.kind == "multilabel":
        predicted = [[Counter(name for value in values for name in value).most_common(1)[0][0]]] * len(data.test)
    elif target.kind == "regression":
        predicted = [within(target, float(np.mean(values)))] * len(data.test)
    else:
        names = Counter((text[start:end].lower(), name) for text, value in data.train for start, end, name in value)
        known = dict(sorted(names, key=lambda each: names[each]))
        predicted = [_looked_up(text, known) for text, _ in data.test]
    return measure(target.kind, [value for _, value in data.test], predicted)


def _looked_up(text: str, known: dict[str, str]) -> list[list[Any]]:
    """The longest known names first, none over another."""
    lower, found = text.lower(), []
    for name in sorted(known, key=len, reverse=True):
        start = lower.find(name)
        while start >= 0:
            end = start + len(name)
            whole = not (lower[start - 1 : start].isalnum() or lower[end : end + 1].isalnum())
            if whole and all(end <= a or b <= start for a, b, _ in found):
                found.append([start, end, known[name]])
            start = lower.find(name, end)
    return sorted(found)


def _row(name: str, data: Data, ours: Cost, theirs: Sequence[Cost]) -> str:
    less = data.target.kind == "regression"
    best = (min if less else max)(theirs, key=lambda each: each.result["score"])
    share = best.result["score"] / ours.result["score"] if less else ours.result["score"] / best.result["score"]
    cells = [
        name, data.target.kind, ours.result["metric"], *map(_interval, (trivial(data), best.result, ours.result)),
        f"{share:.2f}", f"{ours.result['seconds'] / best.result['seconds']:.2f}",
        f"{ours.result['extra'] / best.result['extra']:.2f}",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _interval(found: dict[str, Any]) -> str:
    return f"{found['score']:.3f} ({found['low']:.3f}–{found['high']:.3f})"


if __name__ == "__main__":
    main()

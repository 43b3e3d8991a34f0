"""Data sets, one or two of each kind, and a trivial baseline for each."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from backend.evaluation.measures import measure
from backend.labelstudio.controls.numbers import within
from backend.targets import SIDES, Kind, Target, sides, with_sides

KINDS: dict[str, Kind] = {
    "trec6": "classification", "goemotions": "multilabel", "stsb": "regression", "restaurant8k": "spans",
    "wnut17": "spans", "pandalm_pref": "pairwise", "e2e_nlg": "generation",
}  # fmt: skip
_HELD_OUT = 150


class Data(NamedTuple):
    """A target, and texts with their values: to train on, to tune a threshold on, and to test on."""

    target: Target
    train: list[tuple[str, Any]]
    held_out: list[tuple[str, Any]]
    test: list[tuple[str, Any]]


def read(folder: Path, name: str, labels: int, test: int) -> Data:
    """The first texts of the shuffled training and test sets."""
    rows = {part: [e for line in (folder / f"{part}.jsonl").open(encoding="utf-8") if (e := _read(name, line))]
            for part in ("train", "test")}  # fmt: skip
    for part in rows.values():
        random.Random(0).shuffle(part)
    values = [value for _, value in rows["train"]]
    kind = KINDS[name]
    target = {
        "regression": lambda: Target(name, kind, low=0, high=5),
        "classification": lambda: Target(name, kind, tuple(sorted(set(values)))),
        "multilabel": lambda: Target(name, kind, tuple(sorted({each for value in values for each in value}))),
        "spans": lambda: Target(name, kind, tuple(sorted({span[2] for value in values for span in value}))),
        "pairwise": lambda: Target(name, kind, SIDES),
        "generation": lambda: Target(name, kind),
    }[kind]()
    return Data(target, rows["train"][:labels], rows["train"][labels : labels + _HELD_OUT], rows["test"][:test])


def _read(name: str, line: str) -> tuple[str, Any] | None:
    """A text and its value; None for a tie between two answers."""
    row: dict[str, Any] = json.loads(line)
    if name == "trec6":
        return row["text"], row["label"]
    if name == "goemotions":
        return row["text"], sorted(row["labels"])
    if name == "stsb":  # the format of two <Text> tags
        return f"a: {row['text_a']}\nb: {row['text_b']}", float(row["score"])
    if name == "restaurant8k":
        return row["text"], sorted([s["start"], s["end"], s["label"]] for s in row["spans"])
    if name == "pandalm_pref":
        text = with_sides(f"{row['instruction']}\n{row['input']}", row["response_a"], row["response_b"])
        return None if row["label"] == "tie" else (text, SIDES["ab".index(row["label"])])
    if name == "e2e_nlg":
        return f"Say in a sentence: {row['prompt']}", row["references"][0]
    text, spans = "", []
    for token, tag in zip(row["tokens"], row["tags"], strict=True):
        start = len(text)
        text += token + " "
        if tag.startswith("I-") and spans:
            spans[-1][1] = start + len(token)
        elif tag != "O":
            spans.append([start, start + len(token), tag[2:]])
    return text, spans


def trivial(data: Data) -> dict[str, Any]:
    """Score of the baseline: majority class, top label, mean, names seen in training, longer answer, or copy."""
    target, values, texts = data.target, [value for _, value in data.train], [text for text, _ in data.test]
    predicted: list[Any]
    if target.kind == "classification":
        predicted = [Counter(values).most_common(1)[0][0]] * len(texts)
    elif target.kind == "multilabel":
        predicted = [[Counter(name for value in values for name in value).most_common(1)[0][0]]] * len(texts)
    elif target.kind == "regression":
        predicted = [within(target, float(np.mean(values)))] * len(texts)
    elif target.kind == "pairwise":
        predicted = [SIDES[int(len(right) > len(left))] for _, left, right in map(sides, texts)]
    elif target.kind == "generation":
        predicted = [text.partition(": ")[2] for text in texts]
    else:
        names = Counter((text[start:end].lower(), name) for text, value in data.train for start, end, name in value)
        known = dict(sorted(names, key=lambda each: names[each]))
        predicted = [_looked_up(text, known) for text in texts]
    return measure(target, [value for _, value in data.test], predicted)


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

"""A data set of each kind that a tiny model can learn, for the suites that run over all kinds."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from backend.targets import SIDES, Target, with_sides
from tests.conftest import CLASSES, FILLERS, WORDS


@dataclass(frozen=True)
class Data:
    """A target, and what each text teaches."""

    target: Target
    texts: list[str]
    values: list[dict[str, Any]]


def _words(rng: random.Random) -> list[tuple[str, str | None]]:
    """Six words: some fillers, some of a class, with that class."""
    named = [(rng.choice(WORDS[name]), name) for name in rng.sample(CLASSES, rng.randint(0, 2))]
    words = [*named, *((rng.choice(FILLERS), None) for _ in range(6 - len(named)))]
    rng.shuffle(words)
    return words


def data(kind: str, count: int, seed: int = 0) -> Data:
    """`count` texts whose values their words give away."""
    rng = random.Random(seed)
    targets = {
        "classification": Target("topic", "classification", CLASSES),
        "multilabel": Target("topics", "multilabel", CLASSES),
        "regression": Target("stars", "regression", low=1, high=5, step=1),
        "spans": Target("things", "spans", CLASSES),
        "pairwise": Target("better", "pairwise", SIDES),
        "generation": Target("answer", "generation"),
    }
    target, texts, values = targets[kind], [], []
    while len(texts) < count:
        words = _words(rng)
        names = [name for _, name in words if name]
        if kind == "classification" and len(names) != 1:
            continue
        text, spans = "", []
        for word, name in words:
            start = len(text)
            text += word + rng.choice([" ", "  ", "\r\n"])
            if name:
                spans.append([start, start + len(word), name])
        value = {
            "classification": names[0] if names else None,
            "multilabel": [name for name in CLASSES if name in names],
            "regression": float(1 + 2 * ("fruit" in names) + 2 * ("tool" in names)),
            "spans": spans,
            "generation": " ".join(["very", *(WORDS[name][0] for name in names)]),
        }.get(kind)
        if kind == "pairwise":  # fruit before tools before animals
            better, worse = sorted(rng.sample(CLASSES, 2), key=CLASSES.index)
            answers = [f"the {rng.choice(WORDS[name])} is {rng.choice(FILLERS)}" for name in (better, worse)]
            value = rng.choice(SIDES)
            text = with_sides("which is", *(answers if value == "left" else reversed(answers)))
        texts.append(text)
        values.append({target.name: value})
    return Data(target, texts, values)

"""Learn from labels what a served model's answers mean: examples for its prompts, and heads on what it answers."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from backend.learners import saved
from backend.learners.base import Progress, TrainingOptions, no_progress
from backend.learners.kinds import head_of
from backend.learners.served.fitting import fit, fit_members, prior_of
from backend.learners.served.model import Memory, ServedModel
from backend.learners.served.prompts import NONE, Prompt
from backend.targets import Target, Values

PROMPTS = "prompts.json"
_TRIED = 8  # texts by whose answers the model is tried before all are asked about


def train(
    base: ServedModel,
    texts: Sequence[str],
    values: Sequence[Values],
    targets: Sequence[Target],
    options: TrainingOptions,
    folder: Path,
    *,
    former: Path | None = None,
    memory: Memory | None = None,
    progress: Progress = no_progress,
) -> None:
    """Choose examples for the prompts, and fit a head for each target on the answers to the other texts.

    A head begins by believing the answers as they are, and is drawn towards that (a Gaussian prior), so that few labels
    do little harm and many correct the model: calibration as of Zhao et al., Calibrate Before Use (ICML 2021), learned
    from labels, with the texts' embeddings beside. former: an earlier version, whose prompts stay while they are right
    and show at least half of the examples that they could: what was asked once need not be asked again.
    Raises `ModelError` if the server does.
    """
    short = [base.cut(text, options.max_length) for text in texts]
    asked_of, known = _read(former)
    prompts = [_prompt(target, short, values, options, known.get(target.name)) for target in targets]
    for prompt in prompts:
        if asked_of != base.identity or prompt != known.get(prompt.target.name):
            base.require_letters(prompt, short[:_TRIED] or ["A text."])
    shown = {text for prompt in prompts for text, _ in prompt.examples}
    rest = [row for row, text in enumerate(short) if text not in shown]  # a shown one's answer is copied
    reading = base.read(
        prompts, [texts[row] for row in rest], options.max_length, memory, halvings=options.halvings, progress=progress
    )  # fmt: skip
    heads = []
    for target in targets:
        head = head_of(target, reading.vectors.shape[1])
        given = [(place, values[row][target.name]) for place, row in enumerate(rest) if target.name in values[row]]
        prior = prior_of(head, prompts, reading.vectors.shape[1])
        fit(head, prior, reading, given)
        heads.append(head)
        if options.committee is not None:
            fit_members(head, prior, reading, given, options.committee.members, options.seed, folder)
    written = {"asked_of": base.identity, "prompts": [prompt.as_json() for prompt in prompts]}
    (folder / PROMPTS).write_text(json.dumps(written, ensure_ascii=False), "utf-8")
    saved.write(folder, base.name, heads, options)


def read_prompts(folder: Path) -> tuple[Prompt, ...]:
    """What an adapter asks, in the order of its targets."""
    return tuple(Prompt.from_json(each) for each in json.loads((folder / PROMPTS).read_text("utf-8"))["prompts"])


def _read(folder: Path | None) -> tuple[str, dict[str, Prompt]]:
    """Of which model an earlier version asked, and what, by target."""
    try:
        if folder is not None:
            asked_of = json.loads((folder / PROMPTS).read_text("utf-8"))["asked_of"]
            return asked_of, {prompt.target.name: prompt for prompt in read_prompts(folder)}
    except (OSError, ValueError, KeyError, TypeError):  # of another kind of base model, or damaged
        pass
    return "", {}


def _prompt(
    target: Target, texts: Sequence[str], values: Sequence[Values], options: TrainingOptions, former: Prompt | None
) -> Prompt:
    """The target's prompt; the former one if it is still right, and shows at least half of the examples that it could.

    Of each class at most half of the texts are shown, so that the head has others, and of all classes equally many
    where there are; of a text with several labels, the rarest.
    """
    right: dict[str, set[str]] = defaultdict(set)  # equal texts may have different labels
    for text, each in zip(texts, values, strict=True):
        if target.name in each:
            right[text] |= _answers(each[target.name])
    counts = Counter(answer for answers in right.values() for answer in answers)
    by_answer: dict[str, list[str]] = defaultdict(list)
    order, rng = list(right), np.random.default_rng(options.seed)
    for row in rng.permutation(len(order)):
        by_answer[min(sorted(right[order[row]]), key=lambda answer: counts[answer])].append(order[row])
    turns = [
        (turn, answer, text)
        for answer, some in by_answer.items()
        for turn, text in enumerate(some[: len(some) // 2])
    ]  # fmt: skip
    could = min(options.shots, len(turns))
    if former is not None and _stays(former, target, options, right, could):
        return former
    chosen = sorted(turns, key=lambda each: each[0])[:could]  # a class each, then another each
    rng.shuffle(chosen)
    return Prompt(target, options.instructions, tuple((text, answer) for _, answer, text in chosen))


def _stays(former: Prompt, target: Target, options: TrainingOptions, right: Mapping[str, set[str]], could: int) -> bool:
    if (former.target, former.instructions) != (target, options.instructions):
        return False
    if any(answer not in right.get(text, ()) for text, answer in former.examples):
        return False
    return could / 2 < len(former.examples) <= options.shots or (could == 0 and not former.examples)


def _answers(value: Any) -> set[str]:
    """The options that would be right."""
    return {value} if isinstance(value, str) else set(value) or {NONE}

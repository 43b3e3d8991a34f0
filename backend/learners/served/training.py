"""Train on a served model: choose few-shot examples for its prompts, and fit heads to its answers."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from backend.learners import saved
from backend.learners.base import Progress, TrainingOptions, no_progress
from backend.learners.served import quoted_spans
from backend.learners.served.fitting import fit, fit_members, prior_of
from backend.learners.served.heads import head_of
from backend.learners.served.model import Memory, ServedModel
from backend.learners.served.prompts import NONE, Prompt, in_digits, numbers, quoted
from backend.learners.served.quoted_spans import QuotedSpansHead
from backend.learners.served.written_answers import WrittenAnswersHead
from backend.targets import Target, Values

PROMPTS = "prompts.json"
TRIED = 8  # texts for a test of the prompt before all are sent


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
    """Choose few-shot examples for the prompts, and fit a head per target to the answers for the other texts.

    A head's Gaussian prior is centred on the model's own probabilities, so that few labels change little and many
    correct the model. This is calibration (Zhao et al., Calibrate Before Use, ICML 2021), fitted to labels, with text
    embeddings as additional features. former: an earlier version. Its prompts are reused while their examples are
    correct and more than half of those available, so that cached answers stay valid. memory: cache of answers. Raises
    `ModelError` if the server does.
    """
    short = [base.cut(text, options.max_length) for text in texts]
    former_model, known = _read(former)
    prompts = [prompt_for(target, short, values, options, known.get(target.name)) for target in targets]
    for prompt in prompts:
        if former_model != base.identity or prompt != known.get(prompt.target.name):
            base.require_letters(prompt, short[:TRIED] or ["A text."])
    shown = {text for prompt in prompts for text, _ in prompt.examples}
    rest = [row for row, text in enumerate(short) if text not in shown]  # no few-shot examples: the model would copy
    reading = base.read(
        prompts, [texts[row] for row in rest], options.max_length, memory,
        batch_shrink=options.batch_shrink, progress=progress,
    )  # fmt: skip
    heads = []
    for target in targets:
        head = head_of(target, reading.vectors.shape[1])
        heads.append(head)
        given = [(place, values[row][target.name]) for place, row in enumerate(rest) if target.name in values[row]]
        if isinstance(head, QuotedSpansHead):
            quoted_spans.fit(head, reading, given)
            continue
        if isinstance(head, WrittenAnswersHead):
            continue
        prior = prior_of(head, prompts, reading.vectors.shape[1])
        fit(head, prior, reading, given)
        if options.committee is not None:
            fit_members(head, prior, reading, given, options.committee.members, options.seed, folder)
    written = {"asked_of": base.identity, "prompts": [prompt.as_json() for prompt in prompts]}
    (folder / PROMPTS).write_text(json.dumps(written, ensure_ascii=False), "utf-8")
    saved.write(folder, base.name, heads, options)


def read_prompts(folder: Path) -> tuple[Prompt, ...]:
    """The prompts of an adapter, in the order of its targets."""
    return tuple(Prompt.from_json(each) for each in json.loads((folder / PROMPTS).read_text("utf-8"))["prompts"])


def _read(folder: Path | None) -> tuple[str, dict[str, Prompt]]:
    """Model identity and prompts, by target name, of an earlier version."""
    try:
        if folder is not None:
            model = json.loads((folder / PROMPTS).read_text("utf-8"))["asked_of"]
            return model, {prompt.target.name: prompt for prompt in read_prompts(folder)}
    except (OSError, ValueError, KeyError, TypeError):  # trained with another kind of base model, or damaged
        pass
    return "", {}


def prompt_for(
    target: Target, texts: Sequence[str], values: Sequence[Values], options: TrainingOptions, former: Prompt | None
) -> Prompt:
    """The target's prompt: the former one, if `_stays` allows it, else one with newly drawn examples.

    At most half of the texts of a class become examples, to leave others for the head. Classes are balanced as far as
    possible. A text with several labels is an example of the rarest one, one with spans of the first one's class.
    """
    correct: dict[str, set[str]] = defaultdict(set)  # by text; duplicates may have different labels
    for text, each in zip(texts, values, strict=True):
        if target.name in each:
            correct[text] |= _answers(target, each[target.name], text)
    counts = Counter(_group(target, answer) for answers in correct.values() for answer in answers)
    by_group: dict[str, list[tuple[str, str]]] = defaultdict(list)
    order, rng = list(correct), np.random.default_rng(options.seed)
    for row in rng.permutation(len(order)):
        rarest = min(sorted(correct[order[row]]), key=lambda answer: counts[_group(target, answer)])
        by_group[_group(target, rarest)].append((rarest, order[row]))
    candidates = [
        (turn, *example)
        for some in by_group.values()
        for turn, example in enumerate(some[: len(some) // 2])
    ]  # fmt: skip
    possible = min(options.shots, len(candidates))
    if former is not None and _stays(former, target, options, correct, possible):
        return former
    chosen = sorted(candidates, key=lambda each: each[0])[:possible]  # one per class, then another
    rng.shuffle(chosen)
    return Prompt(target, options.instructions, tuple((text, answer) for _, answer, text in chosen))


def _stays(
    former: Prompt, target: Target, options: TrainingOptions, correct: Mapping[str, set[str]], possible: int
) -> bool:
    """Whether the former prompt can be reused. possible: how many examples a new one would have."""
    if (former.target, former.instructions) != (target, options.instructions):
        return False
    if any(answer not in correct.get(text, ()) for text, answer in former.examples):
        return False
    return possible / 2 < len(former.examples) <= options.shots or (possible == 0 and not former.examples)


def _group(target: Target, answer: str) -> str:
    """What examples are balanced by: the answer; of spans, the class of the first one, or that there is none.

    Written answers are one group.
    """
    return {"spans": answer[:1], "generation": ""}.get(target.kind, answer)


def _answers(target: Target, value: Any, text: str) -> set[str]:
    """The correct options; of numbers the nearest one; of spans the lines of the answer."""
    if target.kind == "spans":
        return {quoted(target, value, text)}
    if target.kind == "regression":
        offered = numbers(target)
        return {in_digits(offered[np.abs(offered - value).argmin()])}
    return {value} if isinstance(value, str) else set(value) or {NONE}

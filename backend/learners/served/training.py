"""Learn from labels what a served model's answers mean: examples for its prompts, and heads on what it answers."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from backend.errors import ModelError
from backend.learners import heads as linear_heads
from backend.learners import saved
from backend.learners.base import Progress, TrainingOptions, no_progress
from backend.learners.committee import HEADS
from backend.learners.kinds import head_of
from backend.learners.kinds.base import TargetHead
from backend.learners.served.model import Answered, Memory, ServedModel
from backend.learners.served.prompts import NONE, Prompt
from backend.targets import Target, Values

PROMPTS = "prompts.json"
_TRIED = 8  # texts by whose answers the model is tried before all are asked about
_OF_ANSWERS = 0.25  # variance of what labels may change of an answer's weight, 1 at first
_PRIOR_SCALE = 0.5  # of the members' own priors, in standard deviations


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
    known = {prompt.target.name: prompt for prompt in _read(former)}
    prompts = [_prompt(target, texts, values, options, known.get(target.name)) for target in targets]
    for prompt in prompts:
        if prompt != known.get(prompt.target.name):
            base.require_letters(prompt, texts[:_TRIED] or ["A text."])
    shown = {text for prompt in prompts for text, _ in prompt.examples}
    rest = [row for row, text in enumerate(texts) if text not in shown]  # a shown one's answer is copied
    reading = base.read(prompts, [texts[row] for row in rest], options.max_length, memory, progress)
    heads = []
    for target in targets:
        head = head_of(target, reading.vectors.shape[1])
        given = [(place, values[row][target.name]) for place, row in enumerate(rest) if target.name in values[row]]
        weight, variance = _prior(head, prompts, reading.vectors.shape[1])
        _fit(head, weight, variance, reading, given)
        heads.append(head)
        if options.committee is not None:
            rng = np.random.default_rng(options.seed)
            samples = linear_heads.bootstrap(len(given), options.committee.members, rng)
            _committee(head, weight, variance, reading, given, samples, rng, folder)
    (folder / PROMPTS).write_text(json.dumps([prompt.as_json() for prompt in prompts], ensure_ascii=False), "utf-8")
    saved.write(folder, base.name, heads, options)


def read_prompts(folder: Path) -> tuple[Prompt, ...]:
    """What an adapter asks, in the order of its targets."""
    return tuple(Prompt.from_json(each) for each in json.loads((folder / PROMPTS).read_text("utf-8")))


def _read(folder: Path | None) -> tuple[Prompt, ...]:
    try:
        return () if folder is None else read_prompts(folder)
    except (OSError, ValueError, KeyError, TypeError):  # of another kind of base model, or damaged
        return ()


def _prompt(
    target: Target, texts: Sequence[str], values: Sequence[Values], options: TrainingOptions, former: Prompt | None
) -> Prompt:
    """The target's prompt; the former one if it is still right, and at most half as many examples as could be shown."""
    given = [(text, each[target.name]) for text, each in zip(texts, values, strict=True) if target.name in each]
    could = min(options.shots, len(given) // 2)
    if former is not None and (former.target, former.instructions) == (target, options.instructions):
        fits = {text: _answers(value) for text, value in given}
        right = all(answer in fits.get(text, ()) for text, answer in former.examples)
        enough = len(former.examples) > could / 2 or could == 0
        if right and enough and len(former.examples) <= options.shots:
            return former
    counts = Counter(answer for _, value in given for answer in _answers(value))
    rng = np.random.default_rng(options.seed)
    by_answer: dict[str, list[str]] = defaultdict(list)
    for row in rng.permutation(len(given)):
        text, value = given[row]
        by_answer[min(_answers(value), key=lambda answer: counts[answer])].append(text)  # of several, the rarest
    turns = [(turn, answer, text) for answer, some in by_answer.items() for turn, text in enumerate(some)]
    chosen = sorted(turns, key=lambda each: each[0])[:could]  # a class each, then another each
    rng.shuffle(chosen)
    return Prompt(target, options.instructions, tuple((text, answer) for _, answer, text in chosen))


def _answers(value: Any) -> tuple[str, ...]:
    """The options that would be right."""
    if isinstance(value, str):
        return (value,)
    return tuple(value) or (NONE,)


def _prior(head: TargetHead, prompts: Sequence[Prompt], dimensions: int) -> tuple[torch.Tensor, torch.Tensor]:
    """What a head's weights are before any label, and the variance around that: (C, D) each."""
    mean = torch.zeros(head.width(head.target), dimensions)
    variance = torch.full_like(mean, linear_heads.prior_variance(len(head.target.classes)))
    start = 0
    for prompt in prompts:
        own = slice(start, start + prompt.width)
        variance[:, own] = _OF_ANSWERS
        if prompt.target == head.target:
            if prompt.target.kind == "pairwise":
                mean[:, own] = 0.5  # the mean of both orders
            else:
                classes = torch.arange(len(mean))
                mean[classes, start + classes] = 1.0
        start += prompt.width
    return mean, variance


def _fit(
    head: TargetHead, mean: torch.Tensor, variance: torch.Tensor, reading: Answered,
    given: Sequence[tuple[int, Any]], times: torch.Tensor | None = None,
) -> None:  # fmt: skip
    """The most probable weights, by L-BFGS. times: how often each example counts."""
    rows, wanted = [row for row, _ in given], [value for _, value in given]
    weight, bias = head.linear.weight, head.linear.bias
    with torch.no_grad():
        weight.copy_(mean)
        bias.zero_()
    if not given:
        return
    head.prepare([reading.texts[row] for row in rows], wanted, reading.base)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=200, tolerance_grad=1e-4, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad(set_to_none=True)
        losses = head.losses(reading, rows, wanted)
        total = (losses if times is None else losses * times).sum()
        total = total + ((weight - mean).square() / (2 * variance)).sum() + 1e-4 * bias.square().sum()
        torch.autograd.backward(total)
        return torch.as_tensor(total)

    found = optimizer.step(loss)  # type: ignore[no-untyped-call]
    if not torch.isfinite(torch.as_tensor(found)):
        raise ModelError(f"the head of '{head.target.name}' could not be fitted to the answers; start a round again")


def _committee(
    head: TargetHead, mean: torch.Tensor, variance: torch.Tensor, reading: Answered, given: Sequence[tuple[int, Any]],
    samples: NDArray[np.int64], rng: np.random.Generator, folder: Path,
) -> None:  # fmt: skip
    """Heads on bootstrap samples, each drawn towards a prior of its own, as `heads.fit_committee` has it."""
    weights, biases = [], []
    for sample in samples:
        own = head_of(head.target, reading.vectors.shape[1])
        noise = torch.from_numpy(rng.standard_normal(tuple(mean.shape), dtype=np.float32))
        _fit(own, mean + _PRIOR_SCALE * variance.sqrt() * noise, variance, reading, given, torch.from_numpy(sample))
        weights.append(own.linear.weight.detach().clone())
        biases.append(own.linear.bias.detach().clone())
    save_file({"weights": torch.stack(weights), "biases": torch.stack(biases)}, folder / HEADS)

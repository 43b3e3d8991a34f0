"""Fine-tune a LoRA adapter with a head for each target, and its committee, and save them to a folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from backend.learners import saved
from backend.learners.base import Progress, TrainingOptions, no_progress
from backend.learners.committee import HEADS, member_folder
from backend.learners.heads import class_names, span_names
from backend.learners.heads import linear as linear_heads
from backend.learners.kinds import head_of
from backend.learners.kinds.base import TargetHead
from backend.learners.kinds.spans import SpansHead
from backend.learners.learner import LoraLearner
from backend.learners.models.base_model import BaseModel
from backend.learners.training.distributed import ALONE, Team
from backend.learners.training.fine_tuning import fit, steps
from backend.learners.training.lora import default_learning_rate, lora_config
from backend.targets import Target, Values

Examples = tuple[Sequence[str], Sequence[Values]]  # texts, and the labels of each by target name


def train(
    base: BaseModel,
    texts: Sequence[str],
    values: Sequence[Values],
    targets: Sequence[Target],
    options: TrainingOptions,
    folder: Path,
    *,
    warm_start: Path | None = None,
    frozen_view: Examples | None = None,
    unlabeled: NDArray[Any] | None = None,
    soft: Examples = ((), ()),
    team: Team = ALONE,
    progress: Progress = no_progress,
) -> None:
    """Fine-tune an adapter with its heads on labeled texts and save it to `folder`, with its committee if configured.

    values: each text's labels by target name; targets may be missing. warm_start: folder of an earlier version to start
    from. frozen_view: training examples of a `views` committee's embedding view, if they differ. unlabeled: (N, D),
    embeddings of a sample of the texts to predict, with which class names are compared (`options.class_texts`). Without
    labels, or with few where names are right (`NamePrior.is_enough`), the adapter changes nothing: its heads alone know
    the class names and the labels. soft: texts with soft labels of a teacher, from which the adapters of all members
    learn, too. team: the processes of data-parallel training, which all call this. A committee needs exactly one
    target. Equal seeds give equal weights on the same machine. Raises `ModelError` if the loss is not finite.
    """
    committee = options.committee
    members = committee.members if committee is not None and committee.kind == "lora" else 1
    _train_one(base, (texts, values), soft, targets, options, folder, warm_start, unlabeled, team,
               _part(progress, 0, members), always=committee is not None)  # fmt: skip
    if committee is None or committee.kind == "dropout":
        return
    (target,) = targets
    rng = np.random.default_rng(options.seed)
    if committee.kind == "bootstrap":
        samples = linear_heads.bootstrap(len(texts), committee.members, rng)
        _bootstrap_heads(_features(base, folder, texts), values, target, samples, rng).save(folder / HEADS)
    elif committee.kind == "views":
        view_texts, view_values = frozen_view or (texts, values)
        vectors = base.embed(view_texts, max_length=options.max_length)
        linear_heads.fit(vectors, _rows(view_values, target), len(target.classes)).save(folder / HEADS)
    else:
        for member, sample in enumerate(linear_heads.bootstrap(len(texts), committee.members - 1, rng), start=1):
            rows = np.repeat(np.arange(len(texts)), sample)
            _train_one(
                base, ([texts[row] for row in rows], [values[row] for row in rows]), soft, targets,
                _member_options(base, options, targets, member), member_folder(folder, member), None,
                unlabeled, team, _part(progress, member, members), always=True,
            )  # fmt: skip


def _bootstrap_heads(
    features: NDArray[Any], values: Sequence[Values], target: Target, samples: NDArray[np.int64],
    rng: np.random.Generator,
) -> linear_heads.Heads:  # fmt: skip
    if target.kind == "regression":
        numbers = np.array([each[target.name] for each in values], dtype=np.float64)
        return linear_heads.fit_regressions(features, numbers, samples, rng)
    return linear_heads.fit_committee(features, _rows(values, target), len(target.classes), samples, rng)


def _rows(values: Sequence[Values], target: Target) -> NDArray[np.int64]:
    return np.array([target.classes.index(each[target.name]) for each in values])


def _train_one(
    base: BaseModel,
    examples: Examples,
    soft: Examples,
    targets: Sequence[Target],
    options: TrainingOptions,
    folder: Path,
    warm_start: Path | None,
    unlabeled: NDArray[Any] | None,
    team: Team,
    progress: Progress,
    *,
    always: bool,
) -> None:
    """always: fine-tune even where the names are enough, since a committee's members differ by their adapters."""
    folder.mkdir(exist_ok=True)
    texts, values = examples
    adapter = "in_training"  # "training" itself is an attribute of every torch module
    with base.lock, torch.random.fork_rng():
        torch.manual_seed(options.seed)
        heads = [head_of(target, base.dimensions) for target in targets]
        sample = np.empty((0, base.dimensions), np.float32) if unlabeled is None else unlabeled
        starts = [_start(base, head, texts, values, sample, options) for head in heads]
        enough = not always and not soft[0] and all(each is not None and each.prior.is_enough for each in starts)
        tuned = bool(texts or soft[0]) and not enough
        for head, start in zip(heads, starts, strict=True):
            if start is not None and tuned:
                start.prior.start(head)
            elif start is not None:
                start.prior.fit(head, start.labeled, start.values)
            head.linear.to(base.device)
        if tuned:
            in_words = _names(targets, starts)
            texts, values = _together((texts, values), in_words, soft, lambda count: steps(options, targets, count))
            for head in heads:
                given = _labeled(head.target, texts, values)
                if isinstance(head, SpansHead) and given and (names := options.class_texts.get(head.target.name)):
                    span_names.start(head, base, names, [text for text, _ in given], [value for _, value in given],
                                     options.max_length)  # fmt: skip
                head.prepare([text for text, _ in given], [value for _, value in given], base)
        if warm_start is None or not tuned:
            base.adapters.drop(adapter)
            base.adapters.add(adapter, lora_config(base, options, targets))
        else:
            former = {head.target.name: head for head in LoraLearner.load(base, adapter, warm_start).heads}
            for head in heads:
                if (known := former.get(head.target.name)) and known.target.kind == head.target.kind:
                    head.carry_over(known)
        try:
            if team.rank:  # processes need different dropout, but the same initial weights
                torch.manual_seed(options.seed + team.rank)
            if tuned:
                with base.adapters.training(adapter, checkpointing=options.checkpointing) as parameters:
                    fit(base, parameters, heads, texts, values, options, team, progress)
            base.adapters.save(adapter, folder)
        finally:
            base.adapters.drop(adapter)
    saved.write(folder, base.name, heads, options, base.usage)


def _labeled(target: Target, texts: Sequence[str], values: Sequence[Values]) -> list[tuple[str, Any]]:
    """The texts with a label of the target, and their labels."""
    return [(text, each[target.name]) for text, each in zip(texts, values, strict=True) if target.name in each]


class _Start(NamedTuple):
    """A head's class names, and the labeled texts of its target."""

    prior: class_names.NamePrior
    names: Sequence[str]
    labeled: NDArray[Any]  # (M, D)
    values: list[Any]


def _start(
    base: BaseModel, head: TargetHead, texts: Sequence[str], values: Sequence[Values], sample: NDArray[Any],
    options: TrainingOptions,
) -> _Start | None:  # fmt: skip
    """None where class names are not known."""
    names = options.class_texts.get(head.target.name)
    if names is None or head.target.kind not in class_names.KINDS:
        return None
    given = _labeled(head.target, texts, values)
    embed = partial(base.embed, max_length=options.max_length)
    labeled, own = embed([text for text, _ in given]), [value for _, value in given]
    return _Start(class_names.name_prior(head.target, embed(names), labeled, own, sample), names, labeled, own)


def _names(targets: Sequence[Target], starts: Sequence[_Start | None]) -> Examples:
    """The name of each class as an example, as far as names are believed."""
    found = [
        (name, {target.name: sorted(target.with_ancestors([label])) if target.kind == "multilabel" else label})
        for target, start in zip(targets, starts, strict=True)
        if start is not None and start.prior.belief >= class_names.BELIEVED
        for name, label in zip(start.names, target.classes, strict=True)
    ]
    return [text for text, _ in found], [value for _, value in found]


def _together(labeled: Examples, names: Examples, soft: Examples, steps_of: Callable[[int], int]) -> Examples:
    """All examples. People's labels are repeated, to be read about as often as without soft labels.

    steps_of: number of training steps by the number of examples.
    """
    count = len(labeled[0]) + len(names[0])
    times = 1
    if soft[0] and labeled[0]:
        times = max(1, round(steps_of(count) / count / (steps_of(count + len(soft[0])) / (count + len(soft[0])))))
    parts = [labeled] * times + [names, soft]
    return [text for part in parts for text in part[0]], [value for part in parts for value in part[1]]


def _features(base: BaseModel, folder: Path, texts: Sequence[str]) -> NDArray[Any]:
    learner = LoraLearner.load(base, "just_trained", folder)
    try:
        return learner.score(texts, ["features"])["features"]
    finally:
        learner.unload()


def _member_options(
    base: BaseModel, options: TrainingOptions, targets: Sequence[Target], member: int
) -> TrainingOptions:
    """Options of a committee member: its own seed, and rank and learning rate varied around the configured ones."""
    rank, rate = ((2.0, 0.7), (0.5, 1.4), (1.0, 1.0))[(member - 1) % 3]
    return replace(
        options,
        seed=options.seed + member,
        lora_r=max(1, round(rank * options.lora_r)),
        lora_alpha=max(1, round(rank * options.lora_alpha)),
        learning_rate=min(0.5, rate * (options.learning_rate or default_learning_rate(base, targets, options))),
        committee=None,
    )


def _part(progress: Progress, number: int, of: int) -> Progress:
    """Map the progress of run `number` of `of` equal runs to the whole progress bar."""
    return lambda done, total: progress(number * total + done, of * total)

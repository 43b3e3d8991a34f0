"""Fine-tune a LoRA adapter with its head, and the committee beside it, into a folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from peft import LoraConfig, TaskType
from peft.utils import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING

from backend.errors import ModelError
from backend.learners import heads
from backend.learners.base import Progress, TrainingOptions, no_progress
from backend.learners.base_model import BaseModel
from backend.learners.batching import pad
from backend.learners.committee import HEADS, member_folder
from backend.learners.sequence_classification import DESCRIPTION, SequenceClassifier

Examples = tuple[Sequence[str], Sequence[str]]  # texts, and the class of each


def train(
    base: BaseModel,
    texts: Sequence[str],
    labels: Sequence[str],
    classes: Sequence[str],
    options: TrainingOptions,
    folder: Path,
    *,
    warm_start: Path | None = None,
    frozen_view: Examples | None = None,
    progress: Progress = no_progress,
) -> None:
    """Fine-tune an adapter and a head on labeled texts and write both to `folder`, with the committee if one is wanted.

    Rare classes weigh more, by 1/√count (normalised to mean 1 over the examples): enough that they are learned, less
    than 1/count, which would make the model shout them. `warm_start` is a folder of an earlier version to go on from;
    head rows are carried over by class name. `frozen_view` is what the embeddings' view of a `views` committee learns
    from, where it differs. Equal seeds give equal weights on the same machine. Raises `ModelError` if the loss is no
    longer a number.
    """
    committee = options.committee
    members = committee.members if committee is not None and committee.kind == "lora" else 1
    _train_one(base, (texts, labels), classes, options, folder, warm_start, _part(progress, 0, members))
    if committee is None or committee.kind == "dropout":
        return
    targets = np.array([classes.index(label) for label in labels])
    rng = np.random.default_rng(options.seed)
    if committee.kind == "bootstrap":
        samples = heads.bootstrap(len(texts), committee.members, rng)
        heads.fit_committee(_features(base, folder, texts), targets, len(classes), samples, rng).save(folder / HEADS)
    elif committee.kind == "views":
        view_texts, view_labels = frozen_view or (texts, labels)
        vectors = base.embed(view_texts, max_length=options.max_length)
        heads.fit(vectors, np.array([classes.index(c) for c in view_labels]), len(classes)).save(folder / HEADS)
    else:
        for member, sample in enumerate(heads.bootstrap(len(texts), committee.members - 1, rng), start=1):
            rows = np.repeat(np.arange(len(texts)), sample)
            _train_one(
                base, ([texts[row] for row in rows], [labels[row] for row in rows]), classes,
                _member_options(base, options, member), member_folder(folder, member), None,
                _part(progress, member, members),
            )  # fmt: skip


def _train_one(
    base: BaseModel,
    examples: Examples,
    classes: Sequence[str],
    options: TrainingOptions,
    folder: Path,
    warm_start: Path | None,
    progress: Progress,
) -> None:
    folder.mkdir(exist_ok=True)
    texts, labels = examples
    targets = torch.tensor([classes.index(label) for label in labels])
    adapter = "in_training"  # "training" itself is an attribute of every torch module
    with base.lock, torch.random.fork_rng():
        torch.manual_seed(options.seed)
        head = torch.nn.Linear(base.dimensions, len(classes)).to(base.device)
        torch.nn.init.zeros_(head.bias)
        if warm_start is None:
            base.adapters.drop(adapter)
            base.adapters.add(adapter, lora_config(base, options))
        else:
            _carry_over(SequenceClassifier.load(base, adapter, warm_start), head, classes)
        try:
            with base.adapters.training(adapter) as parameters:
                _fit(base, parameters, head, texts, targets, options, progress)
            base.adapters.save(adapter, folder)
        finally:
            base.adapters.drop(adapter)
    heads.write_head(head, folder)
    description = {
        "kind": SequenceClassifier.kind,
        "base_model": base.name,
        "classes": list(classes),
        "max_length": options.max_length,
        "committee": asdict(options.committee) if options.committee else None,
    }
    (folder / DESCRIPTION).write_text(json.dumps(description, ensure_ascii=False, indent=1), "utf-8")


def _features(base: BaseModel, folder: Path, texts: Sequence[str]) -> NDArray[np.float32]:
    classifier = SequenceClassifier.load(base, "just_trained", folder)
    try:
        return classifier.score(texts, ["features"])["features"]
    finally:
        classifier.unload()


def _member_options(base: BaseModel, options: TrainingOptions, member: int) -> TrainingOptions:
    """A seed of its own, and ranks and step sizes around the chosen ones, in turn."""
    rank, rate = ((2.0, 0.7), (0.5, 1.4), (1.0, 1.0))[(member - 1) % 3]
    return replace(
        options,
        seed=options.seed + member,
        lora_r=max(1, round(rank * options.lora_r)),
        lora_alpha=max(1, round(rank * options.lora_alpha)),
        learning_rate=min(0.5, rate * (options.learning_rate or default_learning_rate(base))),
        committee=None,
    )


def _part(progress: Progress, number: int, of: int) -> Progress:
    """One of several equal parts of a bar."""
    return lambda done, total: progress(number * total + done, of * total)


def lora_config(base: BaseModel, options: TrainingOptions) -> LoraConfig:
    """Attention's query and value where peft knows their names, every linear layer elsewhere (Hu et al. 2021, 4.2)."""
    known = TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING.get(getattr(base.config, "model_type", ""))
    return LoraConfig(
        r=options.lora_r,
        lora_alpha=options.lora_alpha,
        lora_dropout=options.lora_dropout,
        target_modules=list(known) if known else "all-linear",
        task_type=TaskType.FEATURE_EXTRACTION,
    )


def default_learning_rate(base: BaseModel) -> float:
    """Small models take large steps: 2e-3 up to 50 M parameters, 5e-4 up to 500 M, 2e-4 above."""
    return 2e-3 if base.parameters <= 50e6 else 5e-4 if base.parameters <= 500e6 else 2e-4


def _fit(
    base: BaseModel,
    parameters: list[torch.nn.Parameter],
    head: torch.nn.Linear,
    texts: Sequence[str],
    targets: torch.Tensor,
    options: TrainingOptions,
    progress: Progress,
) -> None:
    ids = base.tokenize(texts, options.max_length)
    batches_an_epoch = -(-len(ids) // options.batch_size)
    total = min(options.max_steps, max(options.min_steps, options.epochs * batches_an_epoch))
    rate = options.learning_rate or default_learning_rate(base)
    optimizer = torch.optim.AdamW(
        [{"params": parameters, "weight_decay": 0.01}, {"params": head.parameters(), "weight_decay": 0.0}], lr=rate
    )
    warmup = max(1, total // 10)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warmup, max(0.0, (total - step) / max(1, total - warmup)))
    )
    weights = _class_weights(targets, head.out_features).to(base.device)
    generator = torch.Generator().manual_seed(options.seed)
    step = 0
    while step < total:
        order = torch.randperm(len(ids), generator=generator).numpy().astype(np.int64)
        for start in range(0, len(order), options.batch_size)[: total - step]:
            batch = pad(base.tokenizer, ids, order[start : start + options.batch_size])
            wanted = targets[torch.from_numpy(batch.rows)].to(base.device)
            with _autocast(base.device):
                logits = head(base.pooled(batch))
            losses = torch.nn.functional.cross_entropy(logits.float(), wanted, reduction="none")
            loss = (losses * weights[wanted]).mean()
            if not torch.isfinite(loss):
                raise ModelError(
                    f"training diverged at step {step + 1}: the loss is {loss.item()}; "
                    f"lower extra_params.learning_rate (now {rate:g})"
                )
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            torch.nn.utils.clip_grad_norm_([*parameters, *head.parameters()], 1.0)
            optimizer.step()
            schedule.step()
            step += 1
            progress(step, total)


def _class_weights(targets: torch.Tensor, classes: int) -> torch.Tensor:
    """(C,) weight of each class's examples: ∝ 1/√count, with mean 1 over the examples."""
    counts = torch.bincount(targets, minlength=classes).float()
    weights = counts.clamp(min=1).rsqrt()
    return weights * (counts.sum() / (weights * counts).sum())


def _carry_over(former: SequenceClassifier, head: torch.nn.Linear, classes: Sequence[str]) -> None:
    known = {name: row for row, name in enumerate(former.classes)}
    with torch.no_grad():
        for row, name in enumerate(classes):
            if name in known:
                head.weight[row] = former.head.weight[known[name]]
                head.bias[row] = former.head.bias[known[name]]


def _autocast(device: torch.device) -> torch.autocast:
    """Half precision on GPUs; full precision elsewhere, where half is slower."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda")

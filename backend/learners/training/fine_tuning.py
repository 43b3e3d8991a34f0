"""The steps of a fine-tuning: their number, the loss, the optimizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext

import numpy as np
import torch

from backend.errors import ModelError
from backend.learners.base import Progress, TrainingOptions
from backend.learners.kinds.base import Reading, TargetHead
from backend.learners.models.base_model import BaseModel
from backend.learners.models.batching import pad
from backend.learners.training.distributed import Team
from backend.learners.training.lora import default_learning_rate, lower_layers, only_classes
from backend.learners.training.lower_layers import fits
from backend.targets import Target, Values


def steps(options: TrainingOptions, targets: Sequence[Target], examples: int) -> int:
    """Number of training steps: some epochs over the examples, between a least and a largest number."""
    epochs, least = (5, 50) if only_classes(targets) else (10, 100)
    epochs, least = options.epochs or epochs, options.min_steps or least
    return min(options.max_steps, max(least, epochs * -(-examples // options.batch_size)))


def fit(
    base: BaseModel,
    parameters: list[torch.nn.Parameter],
    heads: Sequence[TargetHead],
    texts: Sequence[str],
    values: Sequence[Values],
    options: TrainingOptions,
    team: Team,
    progress: Progress,
) -> None:
    """Train the adapter's parameters and the heads on labeled texts: AdamW, linear warm-up and decay.

    Raises `ModelError` if the loss is not finite.
    """
    ids = base.tokenize(texts, options.max_length)
    targets = [head.target for head in heads]
    total = steps(options, targets, len(ids))
    rate = options.learning_rate or default_learning_rate(base, targets, options)
    of_heads = [parameter for head in heads for parameter in head.linear.parameters()]
    optimizer = torch.optim.AdamW(
        [{"params": parameters, "weight_decay": 0.01}, {"params": of_heads, "weight_decay": 0.0}], lr=rate
    )
    warmup = max(1, total // 10)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warmup, max(0.0, (total - step) / max(1, total - warmup)))
    )
    generator = torch.Generator().manual_seed(options.seed)
    lower = lower_layers(base, options, targets)
    if max(map(len, ids)) > base.max_positions or not fits(ids, base.dimensions):
        lower = None  # windows, or too much to keep
    step = 0
    while step < total:
        order = torch.randperm(len(ids), generator=generator).numpy().astype(np.int64)
        for start in range(0, len(order), options.batch_size)[: total - step]:
            rows = order[start : start + options.batch_size]
            given = {h.target.name: sum(h.target.name in values[row] for row in rows) for h in heads}
            optimizer.zero_grad(set_to_none=True)
            mine = team.mine(rows)
            for part in np.array_split(mine, min(len(mine), 2**options.batch_shrink)) if len(mine) else ():
                batch = pad(base.tokenizer, ids, part)
                with _autocast(base.device), lower.recalled(batch) if lower else nullcontext():
                    reading = Reading(base, batch, [texts[row] for row in part], options.max_length)
                    loss = _loss(heads, reading, values, given)
                if not torch.isfinite(loss):
                    raise ModelError(
                        f"training diverged at step {step + 1}: the loss is {loss.item()}; "
                        f"lower extra_params.learning_rate (now {rate:g})"
                    )
                torch.autograd.backward(loss)
            team.add_up([*parameters, *of_heads])
            torch.nn.utils.clip_grad_norm_([*parameters, *of_heads], 1.0)
            optimizer.step()
            schedule.step()
            step += 1
            progress(step, total)


def _loss(
    heads: Sequence[TargetHead], reading: Reading, values: Sequence[Values], of: Mapping[str, int]
) -> torch.Tensor:
    """A micro-batch's share of the batch loss: the sum over targets of the mean loss of the labeled texts.

    of: number of labeled texts in the whole batch, by target name.
    """
    total = torch.zeros((), device=reading.base.device)
    for head in heads:
        name = head.target.name
        given = [(place, values[row][name]) for place, row in enumerate(reading.batch.rows) if name in values[row]]
        if given:
            losses = head.losses(reading, [place for place, _ in given], [value for _, value in given])
            total = total + losses.mean() * (len(given) / of[name])
    return total


def _autocast(device: torch.device) -> torch.autocast:
    """bfloat16 on CUDA GPUs; full precision elsewhere, where half precision is slower."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda")

"""One class a text: a LoRA adapter on the base model and a linear head of our own."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
from peft import LoraConfig, TaskType
from peft.utils import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING
from safetensors.torch import load_file, save_file

from backend.errors import ModelError
from backend.learners.base import Output, Progress, TrainingOptions, no_progress
from backend.learners.base_model import BaseModel
from backend.learners.batching import Batch, by_length, pad

_HEAD = "head.safetensors"
_DESCRIPTION = "learner.json"


class SequenceClassifier:
    """A trained adapter with its head, ready to predict."""

    kind = "sequence_classification"

    def __init__(self, base: BaseModel, adapter: str, head: torch.nn.Linear, classes: Sequence[str], max_length: int):
        self.base = base
        self.adapter = adapter
        self.head = head.to(base.device).eval()
        self.classes = tuple(classes)
        self.max_length = max_length

    @classmethod
    def load(cls, base: BaseModel, adapter: str, folder: Path) -> Self:
        """Read a folder that `train` wrote. `adapter` is its name in memory. Raises `ModelError` if it is damaged."""
        try:
            description = json.loads((folder / _DESCRIPTION).read_text("utf-8"))
            tensors = load_file(folder / _HEAD)
            classes, max_length = description["classes"], description["max_length"]
            head = torch.nn.Linear(tensors["weight"].shape[1], len(classes))
            head.load_state_dict(tensors)
            with base.lock:
                base.adapters.load(adapter, folder)
        except Exception as error:  # whatever json, safetensors, torch or peft find wrong with a file
            raise ModelError(f"adapter {folder.name} cannot be loaded: {type(error).__name__}: {error}") from error
        return cls(base, adapter, head, classes, max_length)

    def unload(self) -> None:
        """Take the adapter out of memory."""
        with self.base.lock:
            self.base.adapters.drop(self.adapter)

    def predict(self, texts: Sequence[str]) -> Output:
        """Class probabilities of each text, in the order asked. Safe from many threads: one batch at a time."""

        def step(batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
            with self.base.lock, torch.inference_mode():
                self.base.adapters.activate(self.adapter)
                return self._step(batch)

        return self._run(texts, step, features=False, progress=no_progress)

    def score(self, texts: Sequence[str], *, features: bool, progress: Progress = no_progress) -> Output:
        """As `predict`, for a whole pool: holds the base model throughout and folds the adapter into its weights."""
        with self.base.lock, self.base.adapters.merged(self.adapter), torch.inference_mode():
            return self._run(texts, self._step, features=features, progress=progress)

    def _step(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        pooled = self.base.pooled(batch)
        return pooled, torch.softmax(self.head(pooled).float(), dim=-1)

    def _run(
        self,
        texts: Sequence[str],
        step: Callable[[Batch], tuple[torch.Tensor, torch.Tensor]],
        *,
        features: bool,
        progress: Progress,
    ) -> Output:
        ids = self.base.tokenize(texts, self.max_length)
        probs = np.zeros((len(texts), len(self.classes)), dtype=np.float32)
        hidden = np.zeros((len(texts), self.base.dimensions), dtype=np.float32) if features else None
        done = 0
        for batch in by_length(self.base.tokenizer, ids):
            pooled, of_classes = step(batch)
            probs[batch.rows] = of_classes.cpu().numpy()
            if hidden is not None:
                hidden[batch.rows] = pooled.float().cpu().numpy()
            done += len(batch.rows)
            progress(done, len(texts))
        return Output(probs, hidden)


def train(
    base: BaseModel,
    texts: Sequence[str],
    labels: Sequence[str],
    classes: Sequence[str],
    options: TrainingOptions,
    folder: Path,
    *,
    warm_start: Path | None = None,
    progress: Progress = no_progress,
) -> None:
    """Fine-tune an adapter and a head on labeled texts and write both to `folder`.

    Rare classes weigh more, by 1/√count (normalised to mean 1 over the examples): enough that they are learned, less
    than 1/count, which would make the model shout them. `warm_start` is a folder of an earlier version to go on from;
    head rows are carried over by class name. Equal seeds give equal weights on the same machine. Raises `ModelError`
    if the loss is no longer a number.
    """
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
    save_file({name: value.detach().cpu().contiguous() for name, value in head.state_dict().items()}, folder / _HEAD)
    description = {
        "kind": SequenceClassifier.kind,
        "base_model": base.name,
        "classes": list(classes),
        "max_length": options.max_length,
    }
    (folder / _DESCRIPTION).write_text(json.dumps(description, ensure_ascii=False, indent=1), "utf-8")


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

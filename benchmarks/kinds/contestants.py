"""The compared trainings: the product's adapters, and transformers' Trainer on all weights of the same model."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    GenerationConfig,
    Trainer,
    TrainingArguments,
)

from backend.evaluation.measures import best_threshold, measure
from backend.labelstudio.controls import BY_KIND
from backend.labelstudio.label_config.task_spec import Control
from backend.learners.base import TrainingOptions
from backend.learners.kinds import head_of
from backend.learners.kinds.spans import SpansHead, decode
from backend.learners.learner import LoraLearner
from backend.learners.models import writing
from backend.learners.models.base_model import BaseModel
from backend.learners.models.packaged import resolve
from backend.learners.training.train import train
from backend.runtime.libraries import quiet_libraries
from backend.targets import SIDES, sides
from benchmarks.kinds.data import Data
from benchmarks.measure import status

_BATCH = 16
Outputs = Callable[[Sequence[str]], dict[str, Any]]


def prepare_ours(data: Data, base_model: str, epochs: int, length: int) -> Callable[[], dict[str, Any]]:
    """Training by the product."""
    quiet_libraries()
    base = BaseModel(base_model)
    kept = tempfile.TemporaryDirectory()
    texts, values = [text for text, _ in data.train], [{data.target.name: value} for _, value in data.train]
    train(base, texts[:8], values[:8], [data.target], TrainingOptions(min_steps=1, max_steps=1), Path(kept.name))

    def call() -> dict[str, Any]:
        folder = Path(kept.name)
        options = TrainingOptions(epochs=epochs, min_steps=1, batch_size=_BATCH, max_length=length)
        cost = _trained(lambda: train(base, texts, values, [data.target], options, folder))
        learner = LoraLearner.load(base, "ours", folder)

        def outputs(texts: Sequence[str]) -> dict[str, Any]:
            return {name.rpartition("/")[2]: array for name, array in learner.predict(texts).items()}

        return {**_score(data, outputs), **cost}

    return call


def prepare_theirs(data: Data, base_model: str, epochs: int, length: int, rate: float) -> Callable[[], dict[str, Any]]:
    """Training of all weights by transformers' Trainer, with its head for the kind."""
    quiet_libraries()
    base = BaseModel(base_model)
    torch.manual_seed(0)
    model, rows, collate, outputs = _setup(data, base, length)
    kept = tempfile.TemporaryDirectory()
    settings = TrainingArguments(
        kept.name, num_train_epochs=epochs, per_device_train_batch_size=_BATCH, learning_rate=rate, seed=0,
        warmup_steps=max(1, epochs * len(data.train) // _BATCH // 10), save_strategy="no", report_to=[],
        logging_strategy="no", disable_tqdm=True, use_cpu=True, dataloader_pin_memory=False,
        remove_unused_columns=False,
    )  # fmt: skip
    kind = _PairTrainer if data.target.kind == "pairwise" else Trainer
    trainer = kind(model, settings, train_dataset=rows, data_collator=collate)

    def call() -> dict[str, Any]:
        cost = _trained(trainer.train)
        model.eval()
        with torch.inference_mode():
            return {**_score(data, outputs), **cost}

    return call


class _PairTrainer(Trainer):
    """Bradley-Terry loss over the rewards of left and right, computed in one batch."""

    def compute_loss(self, model: Any, inputs: Any, **_: Any) -> torch.Tensor:
        won = inputs.pop("labels")
        left, right = model(**inputs).logits[:, 0].view(2, -1)
        return torch.nn.functional.binary_cross_entropy_with_logits(left - right, won)


def _setup(data: Data, base: BaseModel, length: int) -> tuple[Any, list[Any], Callable[[Any], Any], Outputs]:
    """Model, training rows, their collate function, and a function that gives its outputs in our format."""
    target, tokenizer, path = data.target, base.tokenizer, resolve(base.name)
    if target.kind == "generation":
        return _writer(data, base, length)
    pairs = target.kind == "pairwise"
    if target.kind == "spans":
        model = AutoModelForTokenClassification.from_pretrained(path, num_labels=2 * len(target.classes) + 1)
    else:
        problem = {"classification": "single_label_classification", "multilabel": "multi_label_classification"}
        model = AutoModelForSequenceClassification.from_pretrained(
            path, num_labels=max(1, 0 if pairs else len(target.classes)),
            problem_type=problem.get(target.kind, "regression"),
        )  # fmt: skip
    head = head_of(target, 1)

    def encoded(texts: Sequence[str]) -> Any:
        if pairs:
            parts = [sides(text) for text in texts]
            second = [part[1] for part in parts] + [part[2] for part in parts]
            return tokenizer([part[0] for part in parts] * 2, second, truncation=True, max_length=length, padding=True,
                             return_tensors="pt")  # fmt: skip
        return tokenizer(list(texts), truncation=True, max_length=length, padding=True, return_tensors="pt")

    def places(texts: Sequence[str]) -> list[Any]:
        found = tokenizer(list(texts), truncation=True, max_length=length, return_offsets_mapping=True)
        return list(found["offset_mapping"])

    def collate(examples: list[tuple[str, Any]]) -> dict[str, torch.Tensor]:
        texts, values = zip(*examples, strict=True)
        batch = dict(encoded(texts))
        if isinstance(head, SpansHead):
            tags = [head.tags(torch.tensor(p), v) for p, v in zip(places(texts), values, strict=True)]
            batch["labels"] = torch.nn.utils.rnn.pad_sequence(tags, batch_first=True, padding_value=-100)
        elif target.kind == "classification":
            batch["labels"] = torch.tensor([target.classes.index(value) for value in values])
        elif target.kind == "multilabel":
            batch["labels"] = torch.tensor([[float(name in value) for name in target.classes] for value in values])
        else:
            batch["labels"] = torch.tensor([float(value == SIDES[0]) if pairs else value / 5 for value in values])
        return batch

    def outputs(texts: Sequence[str]) -> dict[str, Any]:
        logits = [model(**encoded([text])).logits.float() for text in texts]
        if target.kind == "spans":
            return _spans(texts, [each[0] for each in logits], places(texts))
        if pairs:
            margins = torch.stack([each[0, 0] - each[1, 0] for each in logits])
            return {"probs": torch.sigmoid(torch.stack([margins, -margins], dim=1)).numpy()}
        stacked = torch.cat(logits)
        if target.kind == "regression":
            return {"value": stacked[:, 0].numpy() * 5}
        return {"probs": (torch.sigmoid(stacked) if target.kind == "multilabel" else stacked.softmax(dim=1)).numpy()}

    return model, list(data.train), collate, outputs


def _writer(data: Data, base: BaseModel, length: int) -> tuple[Any, list[Any], Callable[[Any], Any], Outputs]:
    """The causal language model. Prompts and decoding are the product's, so that only the training differs."""
    model = AutoModelForCausalLM.from_pretrained(resolve(base.name), dtype=torch.float32)
    model.generation_config = GenerationConfig()
    base.writer = model  # the model that the functions of `writing` use
    most = int(1.5 * max(map(len, writing.answers(base, [value for _, value in data.train]))))

    def collate(examples: list[tuple[str, Any]]) -> dict[str, torch.Tensor]:
        texts, values = zip(*examples, strict=True)
        rows = [
            (a, b) for a, b in zip(writing.prompts(base, texts, length), writing.answers(base, values), strict=True)
        ]
        ids = [torch.tensor([*prompt, *answer]) for prompt, answer in rows]
        labels = [torch.tensor([-100] * len(prompt) + answer) for prompt, answer in rows]
        pad = torch.nn.utils.rnn.pad_sequence
        return {
            "input_ids": pad(ids, batch_first=True),
            "attention_mask": pad([torch.ones(len(each), dtype=torch.int64) for each in ids], batch_first=True),
            "labels": pad(labels, batch_first=True, padding_value=-100),
        }

    def outputs(texts: Sequence[str]) -> dict[str, Any]:
        written = writing.write(base, writing.prompts(base, texts, length), most)
        codes = [torch.tensor([ord(each) for each in text]) for text in written.texts]
        return {"answer": torch.nn.utils.rnn.pad_sequence(codes, batch_first=True).numpy(),
                "log_prob": written.log_probs.numpy()}  # fmt: skip

    return model, list(data.train), collate, outputs


def _trained(training: Callable[[], Any]) -> dict[str, float]:
    """Seconds and extra memory of the training alone."""
    before, started = status("VmRSS"), time.perf_counter()
    training()
    return {"seconds": time.perf_counter() - started, "extra": status("VmHWM") - before}


def _spans(texts: Sequence[str], logits: Sequence[torch.Tensor], places: Sequence[Any]) -> dict[str, Any]:
    found = []
    for text, each, offsets in zip(texts, logits, places, strict=True):
        best, tags = torch.softmax(each, dim=1).max(dim=1)
        found.append(decode(tags.tolist(), best.tolist(), offsets, text))
    most = max(map(len, found))
    spans, probs = np.zeros((len(texts), most, 3), dtype=np.int64), np.zeros((len(texts), most))
    for row, spans_of in enumerate(found):
        for place, span in enumerate(spans_of):
            spans[row, place], probs[row, place] = span[:3], span.probability
    return {"spans": spans, "span_probs": probs}


def _score(data: Data, outputs: Outputs) -> dict[str, Any]:
    """Score on the test texts; the multi-label threshold is tuned on the held-out texts."""
    target = data.target
    if target.kind == "multilabel":
        present = np.array([[name in value for name in target.classes] for _, value in data.held_out])
        threshold = best_threshold(outputs([text for text, _ in data.held_out])["probs"], present)
        target = replace(target, threshold=threshold)
    arrays = outputs([text for text, _ in data.test])
    control = Control(target, "text", "")
    predicted = [
        BY_KIND[target.kind].predicted(control, target, {name: a[row] for name, a in arrays.items()}, text)[0]
        for row, (text, _) in enumerate(data.test)
    ]
    return measure(target, [value for _, value in data.test], predicted)

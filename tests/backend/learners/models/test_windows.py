"""Texts longer than the model can read at once (64 pieces, for the models of these tests) are read in windows."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from backend.errors import ModelError
from backend.learners.base import TrainingOptions
from backend.learners.learner import LoraLearner
from backend.learners.models.base_model import BaseModel
from backend.learners.models.batching import pad
from backend.learners.training.train import train
from backend.targets import Target
from tests.conftest import CLASSES, FILLERS, TOPIC, WORDS, class_probs, topics

LONG = 150


@pytest.fixture(scope="module", params=["encoder", "decoder"])
def base(request: pytest.FixtureRequest, tiny_encoder: Path, tiny_decoder: Path) -> BaseModel:
    return BaseModel(str(tiny_encoder if request.param == "encoder" else tiny_decoder), device="cpu")


def padded(count: int, length: int, seed: int = 0, *, told: int = 1) -> tuple[list[str], list[str]]:
    """Texts whose last words tell their class, after so many that do not; and the classes."""
    rng = random.Random(seed)
    labels = [rng.choice(CLASSES) for _ in range(count)]
    return [" ".join([*rng.choices(FILLERS, k=length), *rng.choices(WORDS[label], k=told)]) for label in labels], labels


def test_each_window_is_read_by_itself_and_the_vector_is_over_all(base: BaseModel) -> None:
    texts = [padded(1, length)[0][0] for length in (3, 100, 61, 140)]
    ids = base.tokenize(texts, LONG)
    assert [len(each) for each in ids] == [6, 103, 64, 143]
    with torch.inference_mode():
        hidden, pooled = base.read(pad(base.tokenizer, ids, np.arange(4)))
        for row, each in enumerate(ids):
            windows = [each[start : start + 64] for start in range(0, len(each), 64)]
            parts = [base.adapters.model(input_ids=torch.tensor([w])).last_hidden_state[0] for w in windows]
            expected = torch.cat(parts)
            torch.testing.assert_close(hidden[row, : len(each)], expected, atol=1e-5, rtol=1e-4)
            vector = expected[-1] if base.is_decoder else expected.mean(dim=0)
            torch.testing.assert_close(pooled[row], vector, atol=1e-5, rtol=1e-4)


def test_what_stands_after_the_first_window_is_learned(base: BaseModel, tmp_path: Path) -> None:
    texts, labels = padded(90, 66, told=16)
    unseen, truth = padded(45, 66, seed=1, told=16)
    options = TrainingOptions(
        epochs=12, min_steps=60, learning_rate=1e-2, max_length=LONG, lora_dropout=0.0, lora_layers="all"
    )
    train(base, texts, topics(labels), [TOPIC], options, tmp_path)
    probs = class_probs(LoraLearner.load(base, "windows", tmp_path), unseen)
    assert np.mean([CLASSES[row] == label for row, label in zip(probs.argmax(axis=1), truth, strict=True)]) > 0.7


def test_spans_beyond_the_first_window(base: BaseModel, tmp_path: Path) -> None:
    texts, labels = padded(60, 70)
    values = [
        {"things": [[len(t) - len(t.split()[-1]), len(t), label]]} for t, label in zip(texts, labels, strict=True)
    ]
    options = TrainingOptions(
        epochs=15, min_steps=60, learning_rate=1e-2, max_length=LONG, lora_dropout=0.0, lora_layers="all"
    )
    train(base, texts, values, [Target("things", "spans", CLASSES)], options, tmp_path)
    found = LoraLearner.load(base, "spans", tmp_path).predict(texts)["things/spans"]
    right = [
        [start, end] in each[:, :2].tolist()
        for each, ((start, end, _),) in zip(found, (v["things"] for v in values), strict=True)
    ]
    assert np.mean(right) > 0.6  # cut off, none would be


def test_gradients_through_adapters_are_refused(base: BaseModel, tmp_path: Path) -> None:
    texts, labels = padded(6, 70)
    train(base, texts, topics(labels), [TOPIC], TrainingOptions(max_steps=1, max_length=LONG), tmp_path)
    with pytest.raises(ModelError, match=r"reads long ones in windows.*lower max_length"):
        LoraLearner.load(base, "gradients", tmp_path).score(texts, ["gradient_lengths"])

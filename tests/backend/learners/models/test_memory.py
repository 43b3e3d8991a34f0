"""Where memory runs out: told from other errors, and parts of a batch teach what the whole batch does."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from backend.learners.base import TrainingOptions
from backend.learners.learner import LoraLearner
from backend.learners.models import memory
from backend.learners.models.base_model import BaseModel
from backend.learners.training.train import train
from backend.targets import Target
from tests.conftest import TOPIC, labeled_sentences

NUMBER = Target("stars", "regression", low=0, high=5)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory"),
            True,
        ),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_what_counts_as_memory_that_ran_out(error: Exception, expected: bool) -> None:
    assert memory.ran_out(error) is expected


def test_the_allocator_says_what_we_listen_for() -> None:
    with pytest.raises((RuntimeError, MemoryError)) as refused:
        torch.empty(2**60)
    assert memory.ran_out(refused.value)


@pytest.mark.parametrize("shrink", [1, 2, 9])
def test_halved_batches_teach_the_same(tiny_encoder: Path, tmp_path: Path, shrink: int) -> None:
    """Of two targets, one of which has values for some texts only: each part is weighed by its share."""
    sentences = labeled_sentences(24)
    values: list[dict[str, Any]] = [
        {"topic": label, **({"stars": float(n % 5)} if n % 3 else {})} for n, (_, label) in enumerate(sentences)
    ]
    texts = [text for text, _ in sentences]
    options = TrainingOptions(
        epochs=1, min_steps=6, max_steps=6, batch_size=8, learning_rate=1e-3, lora_dropout=0.0, max_length=32
    )
    said = []
    for number, wanted in enumerate((options, replace(options, batch_shrink=shrink))):
        base = BaseModel(str(tiny_encoder))
        for module in base.adapters.model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0  # the model's own, whose draws differ
        folder = tmp_path / str(number)
        train(base, texts, values, [TOPIC, NUMBER], wanted, folder)
        said.append(LoraLearner.load(base, "x", folder).predict(texts))
    for name in said[0]:
        np.testing.assert_allclose(said[0][name], said[1][name], atol=2e-4)


def test_smaller_batches_score_the_same(tiny_encoder: Path, tmp_path: Path) -> None:
    sentences = labeled_sentences(40)
    texts = [text for text, _ in sentences]
    base = BaseModel(str(tiny_encoder))
    options = TrainingOptions(epochs=1, min_steps=5, max_steps=5, max_length=32)
    train(base, texts, [{"topic": label} for _, label in sentences], [TOPIC], options, tmp_path / "a")
    learner = LoraLearner.load(base, "x", tmp_path / "a")
    whole = learner.score(texts, ["features"])
    learner.batch_shrink = 2
    for name, array in learner.score(texts, ["features"]).items():
        np.testing.assert_allclose(array, whole[name], atol=1e-5)


@pytest.mark.skipif(memory._malloc_trim is None, reason="only glibc has malloc_trim")
def test_freed_memory_goes_back_to_the_system() -> None:
    """Small blocks that are freed, with one kept at their end, stay with glibc until it is trimmed."""
    code = (
        "import psutil; from backend.learners.models import memory\n"
        "blocks = [bytearray(20_000) for _ in range(10_000)]; kept = bytearray(20_000); del blocks\n"
        "before = psutil.Process().memory_info().rss; memory.release()\n"
        "print(before - psutil.Process().memory_info().rss)"
    )
    freed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert int(freed) > 100_000_000

"""A decoder with its adapter merged is a causal language model for any program that loads one."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from backend.learners.base import TrainingOptions
from backend.learners.learner import LoraLearner
from backend.learners.models.base_model import BaseModel
from backend.learners.models.merging import merge
from backend.learners.training.train import train
from tests.backend.learners.kinds import data


def test_a_merged_decoder_gives_the_same_logits(tiny_decoder: Path, tmp_path: Path) -> None:
    base, known = BaseModel(str(tiny_decoder), device="cpu"), data("generation", 16)
    (adapter := tmp_path / "adapter").mkdir()
    options = TrainingOptions(min_steps=20, max_steps=20, learning_rate=1e-2, max_length=32)
    train(base, known.texts, known.values, [known.target], options, adapter)
    merge(str(tiny_decoder), adapter, tmp_path / "merged")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "merged")
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged").eval()
    ids = tokenizer(["the old apple"], return_tensors="pt").input_ids
    LoraLearner.load(base, "x", adapter)
    with torch.inference_mode():
        base.adapters.activate("x")
        torch.testing.assert_close(
            merged(input_ids=ids).logits, base.writer(input_ids=ids).logits, atol=1e-4, rtol=1e-3
        )
        with base.adapters.disabled():
            plain = base.writer(input_ids=ids).logits
    assert (merged(input_ids=ids).logits - plain).abs().max() > 0.01, "training changed it"

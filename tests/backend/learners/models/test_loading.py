"""Base models in four bits, and those that cannot be loaded."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from peft.import_utils import is_bnb_4bit_available, is_bnb_available
from transformers.utils.import_utils import is_bitsandbytes_available

from backend.errors import ModelError
from backend.learners.base import GradientOptions, TrainingOptions
from backend.learners.learner import LoraLearner
from backend.learners.models.base_model import BaseModel
from backend.learners.models.loading import can_write
from backend.learners.training.train import train
from tests.backend.learners.kinds import data

OPTIONS = TrainingOptions(
    epochs=15, min_steps=100, learning_rate=5e-3, max_length=32, lora_dropout=0.0, lora_layers="all"
)


@pytest.fixture
def packed(tiny_decoder: Path, monkeypatch: pytest.MonkeyPatch) -> BaseModel:
    """What runs on a GPU, on this CPU: bitsandbytes can, unless it repacks weights for inference."""
    monkeypatch.setattr("backend.learners.models.loading._PACKING", {"cpu"})
    if sys.modules.get("bitsandbytes", ...) is None:  # hidden by a test before
        del sys.modules["bitsandbytes"]
    for found in (is_bnb_available, is_bnb_4bit_available, is_bitsandbytes_available):
        found.cache_clear()
    monkeypatch.setattr("bitsandbytes.nn.modules.has_avx512bf16", lambda: False)
    return BaseModel(f"{tiny_decoder}:4bit", device="cpu")


def test_four_bits_take_less_memory_and_say_nearly_the_same(packed: BaseModel, tiny_decoder: Path) -> None:
    whole = BaseModel(str(tiny_decoder), device="cpu")
    assert packed.parameters == whole.parameters
    assert packed.adapters.model.get_memory_footprint() < 0.5 * whole.adapters.model.get_memory_footprint()
    texts = ["the apple is old", "a saw near the horse", "please"]
    ours, theirs = (base.embed(texts, max_length=32) for base in (packed, whole))
    alike = (ours * theirs).sum(axis=1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)
    assert (alike > 0.9).all()


@pytest.mark.parametrize("kind", ["classification", "generation"])
def test_adapters_are_learned_on_packed_weights(packed: BaseModel, kind: str, tmp_path: Path) -> None:
    known, unseen = data(kind, 120), data(kind, 40, seed=1)
    train(packed, known.texts, known.values, [known.target], OPTIONS, tmp_path)
    learner = LoraLearner.load(packed, kind, tmp_path)
    if kind == "generation":
        answers = [value["answer"] for value in unseen.values]
        assert learner.nll(known.target, unseen.texts, answers).mean() < 1.5
        return
    found = learner.score(unseen.texts, ["features", "gradient_lengths"], gradient=GradientOptions())
    np.testing.assert_allclose(found["topic/probs"], learner.predict(unseen.texts)["topic/probs"], atol=1e-5)
    right = found["topic/probs"].argmax(axis=1) == [known.target.classes.index(v["topic"]) for v in unseen.values]
    assert right.mean() > 0.7
    np.testing.assert_allclose(learner.score(unseen.texts)["topic/probs"], found["topic/probs"], atol=1e-5)


def test_what_four_bits_need_is_named(tiny_decoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match="needs a CUDA GPU; leave ':4bit' out"):
        BaseModel(f"{tiny_decoder}:4bit", device="cpu")
    monkeypatch.setattr("backend.learners.models.loading._PACKING", {"cpu"})
    monkeypatch.setattr("backend.learners.models.loading.find_spec", lambda name: None)
    with pytest.raises(ModelError, match="needs bitsandbytes, which the extra 'quantization' installs"):
        BaseModel(f"{tiny_decoder}:4bit", device="cpu")


BROKEN = {
    "deep": b"[" * 100_000,
    "list": b"[1]",
    "type": b'{"model_type": 5}',
    "size": b'{"model_type": "bert", "hidden_size": "x"}',
    "negative": b'{"model_type": "bert", "hidden_size": -1}',
    "bytes": b"\xff\xfe",
    "empty": b"",
}
NAMES = ["a\0b", "x\n2026-01-01 00:00:00,000 INFO backend: FORGED", "a" * 5000, "/dev/null", "-h", "\ud800", "[/red]"]


@pytest.mark.parametrize("config", BROKEN)
def test_a_model_whose_config_is_broken_is_named(config: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(BROKEN[config])
    assert can_write(str(tmp_path)) in (True, False)
    with pytest.raises(ModelError, match=f"base model '{tmp_path}' cannot be loaded"):
        BaseModel(str(tmp_path))


@pytest.mark.parametrize("name", NAMES)
def test_odd_names_are_names_of_no_model(name: str) -> None:
    assert can_write(name) is True
    with pytest.raises(ModelError, match="cannot be loaded"):
        BaseModel(name)

"""Frozen lower layers that run once per text give what they give in every step."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from backend.learners.base import TrainingOptions
from backend.learners.models.base_model import BaseModel
from backend.learners.models.batching import pad
from backend.learners.training.lora import lora_config
from backend.learners.training.lower_layers import LowerLayers, fits, layers_of
from tests.conftest import TOPIC, labeled_sentences

TEXTS = [text for text, _ in labeled_sentences(7)] + ["an apple", "the old hammer and the saw and a very new drill"]


@pytest.fixture(params=["encoder", "decoder"])
def base(request: pytest.FixtureRequest, tiny_encoder: Path, tiny_decoder: Path) -> BaseModel:
    return BaseModel(str(tiny_encoder if request.param == "encoder" else tiny_decoder))


def known(base: BaseModel) -> set[str]:
    """Query and value of the attention, in all layers."""
    return {"query", "value"} if base.config.model_type == "bert" else {"q_proj", "v_proj"}


def test_a_pass_above_them_is_the_whole_pass(base: BaseModel) -> None:
    base.adapters.add("a", lora_config(base, TrainingOptions(lora_dropout=0.0), [TOPIC]))
    layers = layers_of(base.adapters.model, base.config)
    assert layers is not None
    own = list(layers)
    lower = LowerLayers(base.adapters.model, layers, 1)
    ids = base.tokenize(TEXTS, 32)
    runs = []
    layers[0].register_forward_hook(lambda *_: runs.append(1))
    for rows in ([0, 1, 2], [2, 8, 7], [8, 0, 3]):
        batch = pad(base.tokenizer, ids, np.array(rows))
        base.adapters.model.eval()
        with torch.no_grad():
            whole = base.pooled(batch)
            runs.clear()
            with lower.recalled(batch):
                base.adapters.model.eval()
                above = base.pooled(batch)
        torch.testing.assert_close(above, whole, atol=1e-5, rtol=1e-5)
        assert list(layers) == own, "the layers are back"
    assert runs == [1], "of the last batch only one text was new, and it took one pass"
    base.adapters.drop("a")


def test_only_the_upper_half_is_adapted_where_classes_are_learned(base: BaseModel) -> None:
    upper = lora_config(base, TrainingOptions(), [TOPIC]).target_modules
    assert len(upper or ()) == 2
    assert all(".1." in f".{name}" for name in upper or ())
    assert lora_config(base, TrainingOptions(lora_layers="all"), [TOPIC]).target_modules == known(base)


def test_shared_layers_and_long_trainings_are_left_alone(tiny_albert: Path) -> None:
    albert = BaseModel(str(tiny_albert))
    assert layers_of(albert.adapters.model, albert.config) is None
    assert lora_config(albert, TrainingOptions(), [TOPIC]).target_modules == "all-linear"
    assert fits([[1] * 256] * 1000, 384)
    assert not fits([[1] * 256] * 10_000, 384)

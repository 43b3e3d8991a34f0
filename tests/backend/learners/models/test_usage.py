"""How a base model is to be used, from the files of sentence-transformers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from backend.errors import DamagedError
from backend.learners.base import TrainingOptions
from backend.learners.learner import LoraLearner
from backend.learners.models import usage
from backend.learners.models.base_model import BaseModel
from backend.learners.models.batching import pad
from backend.learners.models.usage import Usage, usage_of
from backend.learners.training.train import train
from tests.backend.learners.kinds import data

MODULES = [
    {"idx": 0, "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
]


def copied(tiny: Path, to: Path, pooling: dict[str, object], prompts: dict[str, object] | None = None) -> Path:
    shutil.copytree(tiny, to)
    (to / "1_Pooling").mkdir()
    (to / "modules.json").write_text(json.dumps(MODULES))
    (to / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    (to / "config_sentence_transformers.json").write_text(json.dumps(prompts or {}))
    return to


@pytest.mark.parametrize(
    ("pooling", "prompts", "expected"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, None, ("cls", "")),
        ({"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}, None, ("mean", "")),
        ({"pooling_mode": "lasttoken"}, None, ("lasttoken", "")),
        ({"pooling_mode_max_tokens": True}, None, ("mean", "")),
        ({}, {"prompts": {"query": "find: ", "document": ""}, "default_prompt_name": None}, ("mean", "")),
        ({}, {"prompts": {"task": "classify: "}, "default_prompt_name": "task"}, ("mean", "classify: ")),
    ],
)
def test_pooling_and_prefix(
    tiny_encoder: Path, tmp_path: Path, pooling: dict[str, object], prompts: dict[str, object], expected: Usage
) -> None:
    assert usage_of(str(copied(tiny_encoder, tmp_path / "m", pooling, prompts)), is_decoder=False) == expected


def test_models_without_such_files(tiny_encoder: Path, tiny_decoder: Path, tmp_path: Path) -> None:
    assert usage_of(str(tiny_encoder), is_decoder=False) == ("mean", "")
    assert usage_of(str(tiny_decoder), is_decoder=True) == ("lasttoken", "")
    shutil.copytree(tiny_encoder, tmp_path / "multilingual-e5-base")
    assert usage_of(str(tmp_path / "multilingual-e5-base"), is_decoder=False) == ("mean", "query: ")


def test_files_of_the_hub_are_requested_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def reach(path: str, file: str, **_: bool) -> None:
        asked.append(file)

    monkeypatch.setattr(usage, "cached_file", reach)
    assert usage_of("team/model", is_decoder=False) == ("mean", ""), "the hub cannot be reached, or has no such file"
    assert asked == ["modules.json", "config_sentence_transformers.json"]
    asked.clear()
    prompts = tmp_path / "prompts.json"
    prompts.write_text(json.dumps({"prompts": {"task": "classify: "}, "default_prompt_name": "task"}))
    cached = {
        "modules.json": object(),
        "config_sentence_transformers.json": str(prompts),
    }  # object: known to be missing
    monkeypatch.setattr(usage, "try_to_load_from_cache", lambda path, file: cached[file])
    assert usage_of("team/model", is_decoder=True) == ("lasttoken", "classify: ")
    assert asked == []


def test_the_vector_of_a_text_is_pooled_as_the_files_define(tiny_encoder: Path, tmp_path: Path) -> None:
    prefix = {"prompts": {"task": "please "}, "default_prompt_name": "task"}
    mean, cls, last = (
        BaseModel(str(copied(tiny_encoder, tmp_path / mode, {"pooling_mode": mode}, prefix)), device="cpu")
        for mode in ("mean", "cls", "lasttoken")
    )
    plain = BaseModel(str(tiny_encoder), device="cpu")
    texts = ["the apple is old", "a saw"]
    np.testing.assert_allclose(
        mean.embed(texts, max_length=32), plain.embed([f"please {text}" for text in texts], max_length=32), atol=1e-6
    )
    with torch.inference_mode():
        hidden, _ = mean.read(pad(mean.tokenizer, mean.tokenize(texts, 32), np.arange(2)))
    np.testing.assert_allclose(cls.embed(texts, max_length=32), hidden[:, 0], atol=1e-6)
    ends = [len(ids) - 1 for ids in mean.tokenize(texts, 32)]
    np.testing.assert_allclose(last.embed(texts, max_length=32), hidden[torch.arange(2), ends], atol=1e-6)


def test_an_adapter_of_another_usage_is_refused(tiny_encoder: Path, tmp_path: Path) -> None:
    known = data("classification", 12)
    path = copied(tiny_encoder, tmp_path / "m", {"pooling_mode": "mean"})
    train(BaseModel(str(path)), known.texts, known.values, [known.target], TrainingOptions(min_steps=2), tmp_path / "a")
    LoraLearner.load(BaseModel(str(path)), "same", tmp_path / "a")
    (path / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode": "cls"}))
    with pytest.raises(DamagedError, match="another usage of its base model"):
        LoraLearner.load(BaseModel(str(path)), "other", tmp_path / "a")
    description = json.loads((tmp_path / "a" / "learner.json").read_text())
    del description["usage"]  # of an earlier release, which read every encoder by its mean
    (tmp_path / "a" / "learner.json").write_text(json.dumps(description))
    with pytest.raises(DamagedError, match="another usage of its base model"):
        LoraLearner.load(BaseModel(str(path)), "older", tmp_path / "a")

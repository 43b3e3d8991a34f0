"""Base models of many architectures: read, or refused with a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from backend.doctor import machine
from backend.errors import ModelError
from backend.learners.models.base_model import BaseModel
from backend.learners.models.cache import BaseModels
from tests.conftest import WORDS, _tokenizer

POSITIONS = 40
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
LONG = " ".join(WORDS["fruit"] * 20)


def saved(folder: Path, family: str, pad: int | None = None, **options: Any) -> str:
    """A random tiny model of a family, in a folder."""
    torch.manual_seed(0)
    tokenizer = _tokenizer()
    if pad is not None:
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(pad)
        options["pad_token_id"] = pad
    config = getattr(transformers, f"{family}Config")(vocab_size=len(tokenizer), **options)
    getattr(transformers, f"{family}Model")(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize(
    ("family", "pad", "positions"),
    [
        ("Bert", 0, 40),
        ("Electra", 0, 40),
        ("Roberta", 1, 38),
        ("Roberta", 3, 36),  # as in a Japanese model
        ("XLMRoberta", 1, 38),
        ("Camembert", 1, 38),
        ("MPNet", 1, 38),
        ("Data2VecText", 1, 38),
        ("XLMRobertaXL", 1, 38),
        ("IBert", 1, 38),
        ("Esm", 1, 38),
    ],
)
def test_the_longest_input_is_that_of_the_table_of_positions(
    family: str, pad: int, positions: int, tmp_path: Path
) -> None:
    base = BaseModel(saved(tmp_path, family, pad, max_position_embeddings=POSITIONS, **SMALL))
    assert base.max_positions == positions
    assert base.dimensions == 32
    vectors = base.embed(["an apple", LONG], max_length=200)
    assert vectors.shape == (2, 32)
    assert np.isfinite(vectors).all()


def test_the_width_is_that_of_the_output(tmp_path: Path) -> None:
    options = {"ffn_dim": 48, "max_position_embeddings": POSITIONS, "word_embed_proj_dim": 16, "hidden_size": 32,
               "num_hidden_layers": 2, "num_attention_heads": 2}  # fmt: skip
    base = BaseModel(saved(tmp_path, "OPT", 1, **options))
    assert base.dimensions == base.embed(["an apple"], max_length=8).shape[1] == 16


def test_a_model_without_a_table_of_positions_reads_any_length(tmp_path: Path) -> None:
    base = BaseModel(saved(tmp_path, "XLNet", d_model=32, n_layer=2, n_head=2, d_inner=48))
    assert base.max_positions > 100_000
    assert np.isfinite(base.embed(["an apple", LONG], max_length=200)).all()


def test_what_cannot_be_read_is_refused_when_it_is_loaded(tmp_path: Path) -> None:
    t5 = saved(tmp_path, "T5", d_model=32, d_kv=16, d_ff=48, num_layers=2, num_heads=2, decoder_start_token_id=0)
    with pytest.raises(ModelError, match=r"\(t5\) loads but cannot read texts .* choose an encoder such as minilm"):
        BaseModel(t5)


def test_what_cannot_be_adapted_is_refused(tmp_path: Path) -> None:
    mamba = saved(tmp_path, "Mamba", hidden_size=32, num_hidden_layers=2, state_size=8)
    finding = machine.model(BaseModels(), mamba, 32)
    assert finding.status == "problem"
    assert "a LoRA adapter cannot be added to this base model" in finding.found

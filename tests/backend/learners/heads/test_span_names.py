"""Label names as the first weights of a head of spans."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from backend.learners.heads.span_names import start
from backend.learners.kinds.base import Reading
from backend.learners.kinds.spans import SpansHead
from backend.learners.models.base_model import BaseModel
from backend.learners.models.batching import pad
from tests.backend.learners.kinds import data
from tests.conftest import CLASSES, FILLERS, WORDS

KNOWN = data("spans", 24)
VALUES = [value["things"] for value in KNOWN.values]


@pytest.fixture(scope="module")
def base(tiny_encoder: Path) -> BaseModel:
    return BaseModel(str(tiny_encoder), device="cpu")


@pytest.fixture
def head(base: BaseModel) -> SpansHead:
    torch.manual_seed(0)
    return SpansHead(KNOWN.target, base.dimensions, {})


def test_names_that_are_right_find_the_labels_of_pieces(base: BaseModel, head: SpansHead) -> None:
    names = [" ".join(WORDS[name]) for name in CLASSES]  # the tiny models know these words
    assert start(head, base, names, KNOWN.texts, VALUES, 32)
    ids = base.tokenize(KNOWN.texts, 32)
    reading = Reading(base, pad(base.tokenizer, ids, torch.arange(len(ids)).numpy()), KNOWN.texts, 32)
    with torch.no_grad():
        logits = head.linear(reading.hidden)
    wanted = torch.stack([head.tags(offsets, spans) for offsets, spans in zip(reading.offsets, VALUES, strict=True)])
    inside = wanted > 0
    begins, insides = logits[inside][:, 1::2], logits[inside][:, 2::2]
    assert torch.allclose(begins, insides), "both tags of a label start from its name"
    assert (begins.argmax(dim=1) == (wanted[inside] - 1) // 2).float().mean() >= 0.5


@pytest.mark.parametrize("values", [VALUES, [[] for _ in VALUES]], ids=["other names", "no spans"])
def test_names_that_are_wrong_change_nothing(base: BaseModel, head: SpansHead, values: list[object]) -> None:
    before = head.linear.weight.clone()
    wrong = [" ".join(WORDS[name]) for name in (*CLASSES[1:], CLASSES[0])] if values == VALUES else FILLERS[:3]
    assert not start(head, base, wrong, KNOWN.texts, values, 32)
    assert torch.equal(head.linear.weight, before)

"""Long texts cost as much as the part of them that is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.learners.models.base_model import BaseModel
from backend.learners.models.batching import shortened
from tests.conftest import labeled_sentences

LONG = " ".join(text for text, _ in labeled_sentences(60)) * 50


@pytest.mark.parametrize("max_length", [8, 32])
def test_the_pieces_that_are_read_are_those_of_the_whole_text(tiny_encoder: Path, max_length: int) -> None:
    base = BaseModel(str(tiny_encoder))
    (cut,) = shortened([LONG], max_length)
    assert 100 * max_length == len(cut) < len(LONG)
    whole = base.tokenizer([LONG], truncation=True, max_length=max_length)["input_ids"]
    assert base.tokenize([LONG], max_length) == whole
    # Of the whole pair the tokenizer builds all combinations of what it truncates, which takes gigabytes.
    some = LONG[: 150 * max_length]
    pair = base.tokenizer([some], [some], truncation=True, max_length=max_length)["input_ids"]
    assert base.tokenize([LONG], max_length, [LONG]) == pair
    places = base.offsets([LONG], max_length)[0]
    assert [LONG[start:end] for start, end in places.tolist() if end][:3] == LONG.split()[:3]

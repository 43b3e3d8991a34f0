"""Long texts cost as much as the part of them that is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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


def test_no_tokenizer_gets_more_than_can_matter(tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes 1,000 times the memory of its text."""
    base, longest = BaseModel(str(tiny_encoder)), []
    real = type(base.tokenizer).__call__

    def spied(tokenizer: Any, *texts: list[str], **how: Any) -> Any:
        longest.append(max(len(text) for each in texts for text in each))
        return real(tokenizer, *texts, **how)

    monkeypatch.setattr(type(base.tokenizer), "__call__", spied)
    base.tokenize([LONG], 8)
    base.tokenize([LONG], 8, [LONG])
    base.offsets([LONG], 8)
    base.embed([LONG], max_length=8)
    assert len(longest) == 4
    assert max(longest) <= 100 * 8 + len(base.usage.prefix)

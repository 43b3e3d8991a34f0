"""Computing on a pool, one shard at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.learners.models.base_model import BaseModel
from backend.pool import local
from backend.pool.texts import given, stored
from backend.store import Store
from backend.store.files import shards
from backend.store.files.shards import Shards
from backend.store.texts import TaskText, digest


def test_a_killed_call_goes_on_where_it_was(
    tmp_path: Path, tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (local, shards):
        monkeypatch.setattr(module, "ROWS", 4)
    base = BaseModel(str(tiny_encoder))
    words = [f"text {number % 10}" for number in range(13)]
    texts = given([TaskText(number, text, digest(text)) for number, text in enumerate(words)])
    real, asked = base.embed, list[str]()

    def until_killed(some: list[str], **options: Any) -> Any:
        if len(asked) == 8:
            raise KeyboardInterrupt
        asked.extend(some)
        return real(some, **options)

    monkeypatch.setattr(base, "embed", until_killed)
    with pytest.raises(KeyboardInterrupt):
        local.embed(Shards(tmp_path), base, texts, max_length=16)
    found, seen = Shards(tmp_path), list[tuple[int, int]]()
    assert len(found) == 8
    monkeypatch.setattr(base, "embed", lambda some, **options: (asked.extend(some), real(some, **options))[1])
    local.embed(found, base, texts, max_length=16, progress=lambda done, total: seen.append((done, total)))
    assert asked == words[:10], "each text is computed once"
    assert seen[-1] == (2, 2)
    np.testing.assert_allclose(found.take("embeddings", texts.digests), real(words, max_length=16), atol=1e-5)


def test_texts_are_read_when_it_is_their_turn(store: Store) -> None:
    store.of(7).tasks.put_texts([(number, f"text {number}") for number in (3, 5, 9)], seed=0, audit_share=0.0)
    texts = stored(store, 7, store.of(7).tasks.listed())
    assert texts.read(np.array([2, 0])) == ["text 9", "text 3"]
    assert texts.digests.tolist() == [digest(f"text {number}") for number in (3, 5, 9)]

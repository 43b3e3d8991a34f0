"""What a served model answered is kept with the project."""

from __future__ import annotations

import numpy as np

from backend.rounds.served.answer_cache import cached_answers
from backend.store import Store


def test_answers_are_found_by_text_and_by_what_they_were_asked_with(store: Store) -> None:
    kept = cached_answers(store, 7)("a prompt")
    there, _ = kept.found(["x", "y"])
    assert there.tolist() == [False, False]
    rows = np.arange(6, dtype=np.float32).reshape(3, 2)
    kept.add(["x", "y", "x"], rows)
    there, found = cached_answers(store, 7)("a prompt").found(["y", "new", "x"])
    assert there.tolist() == [True, False, True]
    np.testing.assert_array_equal(found, rows[[1, 0]])
    spared = cached_answers(store, 7, read_only=True)("a prompt")
    spared.add(["new"], rows[:1])
    assert spared.found(["x", "new"])[0].tolist() == [True, False]
    for others in (cached_answers(store, 7)("another prompt"), cached_answers(store, 8)("a prompt")):
        assert not others.found(["x"])[0].any()

"""What a served model answered about a project's texts, kept on disk, so that no text is asked about twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.learners.served.model import Memory
from backend.store import Store
from backend.store.shards import Shards
from backend.store.texts import digest

_ARRAY = "embeddings"  # as those of base models are called, which lie in the same way


class _OnDisk:
    def __init__(self, shards: Shards) -> None:
        self._shards = shards

    def found(self, texts: Sequence[str]) -> tuple[NDArray[np.bool_], NDArray[Any]]:
        there, rows = self._shards.found([_ARRAY], [digest(text) for text in texts])
        return there, rows.get(_ARRAY, np.empty((0, 0), np.float32))

    def add(self, texts: Sequence[str], rows: NDArray[Any]) -> None:
        found, first = np.unique([digest(text) for text in texts], return_index=True)
        self._shards.add(found, {_ARRAY: rows[first]})


class _ReadOnly(_OnDisk):
    def add(self, texts: Sequence[str], rows: NDArray[Any]) -> None:
        """Leave it to the project's round: of two writers at once one would fail."""


def kept_answers(store: Store, project_id: int, *, read_only: bool = False) -> Memory:
    """Where they are, by what they were asked with. Only the project's round is to add some."""
    kind = _ReadOnly if read_only else _OnDisk
    return lambda key: kind(store.files.embeddings(project_id, key))

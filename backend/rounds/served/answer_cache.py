"""Answers of a served model to a project's texts, cached on disk, so that no text is sent twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.learners.served.model import Memory
from backend.store import Store
from backend.store.files.shards import Shards
from backend.store.texts import digest

_ARRAY = "embeddings"  # the array's name in the shards, as for base models


class _OnDisk:
    def __init__(self, shards: Shards) -> None:
        self._shards = shards

    def found(self, texts: Sequence[str]) -> tuple[NDArray[np.bool_], NDArray[Any]]:
        there, rows = self._shards.found([_ARRAY], [digest(text) for text in texts])
        return there, rows.get(_ARRAY, np.empty((0, 0), np.float32))

    def add(self, texts: Sequence[str], rows: NDArray[Any]) -> None:
        distinct, first = np.unique([digest(text) for text in texts], return_index=True)
        self._shards.add(distinct, {_ARRAY: rows[first]})


class _ReadOnly(_OnDisk):
    def add(self, texts: Sequence[str], rows: NDArray[Any]) -> None:
        """Do nothing: shards have one writer, the project's round."""


def cached_answers(store: Store, project_id: int, *, read_only: bool = False) -> Memory:
    """The cache of a project, by the key of prompt and server. Only the project's round may write to it."""
    kind = _ReadOnly if read_only else _OnDisk
    return lambda key: kind(store.files.embeddings(project_id, key))

"""Texts to compute on, loaded lazily from the store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from backend.errors import BackendError
from backend.store import Store
from backend.store.texts import LabeledText, Listed, TaskText

Places = NDArray[np.int64]


class Texts(NamedTuple):
    """N texts, possibly with duplicates."""

    digests: NDArray[np.int64]  # (N,)
    read: Callable[[Places], list[str]]  # the texts at the given positions

    def part(self, places: Places) -> Texts:
        """The texts at these positions."""
        return Texts(self.digests[places], lambda some: self.read(places[some]))


def given(texts: Sequence[TaskText | LabeledText]) -> Texts:
    """Texts in memory."""
    digests = np.fromiter((each.digest for each in texts), np.int64, len(texts))
    return Texts(digests, lambda places: [texts[place].text for place in places])


def stored(store: Store, project_id: int, tasks: Listed) -> Texts:
    """Texts of tasks in the store. `read` raises `BackendError` if a text changed or was deleted since `tasks`."""

    def read(places: Places) -> list[str]:
        wanted = tasks.ids[places].tolist()
        found = store.of(project_id).tasks.texts(wanted)
        digests = tasks.digests[places].tolist()
        if any(i not in found or found[i].digest != known for i, known in zip(wanted, digests, strict=True)):
            raise BackendError("texts changed or were deleted while they were read; the next round reads them again")
        return [found[task_id].text for task_id in wanted]

    return Texts(tasks.digests, read)

"""Texts to be computed on, which are read from the store when it is their turn."""

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
    """N texts, some of which may be equal."""

    digests: NDArray[np.int64]  # (N,)
    read: Callable[[Places], list[str]]  # the texts at the given places


def given(texts: Sequence[TaskText | LabeledText]) -> Texts:
    """Texts that are in memory."""
    digests = np.fromiter((each.digest for each in texts), np.int64, len(texts))
    return Texts(digests, lambda places: [texts[place].text for place in places])


def stored(store: Store, project_id: int, tasks: Listed) -> Texts:
    """The texts of tasks in the store."""

    def read(places: Places) -> list[str]:
        wanted = tasks.ids[places].tolist()
        found = store.tasks.texts(project_id, wanted)
        given_digests = tasks.digests[places].tolist()
        if any(i not in found or found[i].digest != told for i, told in zip(wanted, given_digests, strict=True)):
            raise BackendError("texts changed or were deleted while they were read; the next round reads them anew")
        return [found[task_id].text for task_id in wanted]

    return Texts(tasks.digests, read)

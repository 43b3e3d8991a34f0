"""Score a project's texts in this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from backend.errors import BackendError
from backend.learners.base import GradientOptions, Progress, no_progress
from backend.learners.base_model import BaseModel
from backend.learners.sequence_classification import SequenceClassifier
from backend.store.files import Files
from backend.store.tasks import TaskText


class Scores:
    """What one adapter version gave for a set of texts, found by the digest of the text."""

    def __init__(self, arrays: dict[str, NDArray[np.generic]]) -> None:
        self._digests = arrays["digests"]  # (N,) int64, ascending
        self._arrays = arrays

    def rows(self, digests: Sequence[int]) -> NDArray[np.int64]:
        """The row of each digest; −1 where the text was not scored."""
        wanted = np.asarray(digests, dtype=np.int64)
        if not len(self._digests):
            return np.full(len(wanted), -1)
        found = np.searchsorted(self._digests, wanted).clip(max=len(self._digests) - 1)
        return np.where(self._digests[found] == wanted, found, -1)

    def take(self, name: str, digests: Sequence[int]) -> NDArray[np.generic]:
        """The named array at the given digests, all of which were scored."""
        if name not in self._arrays:
            raise BackendError(f"the scores lack '{name}'; the options changed during the round, start one again")
        rows = self.rows(digests)
        if (rows < 0).any():
            raise KeyError(f"{int((rows < 0).sum())} of {len(rows)} texts were not scored")
        return self._arrays[name][rows]


def score(
    files: Files,
    project_id: int,
    adapter: int,
    classifier: SequenceClassifier,
    tasks: Sequence[TaskText],
    wanted: Mapping[str, str] = MappingProxyType({"probs": "probs"}),
    *,
    gradient: GradientOptions = GradientOptions(),
    progress: Progress = no_progress,
) -> None:
    """Compute the wanted arrays of every distinct text, into the adapter's scores file.

    wanted: what to compute, by the name to keep it under. What an earlier call scored with the same adapter is kept, so
    that only new texts cost anything.
    """
    path = files.scores(project_id, adapter)
    known = files.read_arrays(path)
    if known is not None and not set(wanted) <= set(known):
        known = None
    missing = _complete(known, tasks)
    if missing is None:
        return
    kept, texts, digests = missing
    found = classifier.score(texts, list(wanted.values()), gradient=gradient, progress=progress)
    fresh: dict[str, NDArray[np.generic]] = {"digests": digests}
    fresh.update({name: found[array] for name, array in wanted.items()})
    files.write_arrays(path, _merge(kept, fresh))


def embed(
    files: Files,
    project_id: int,
    base: BaseModel,
    tasks: Sequence[TaskText],
    *,
    max_length: int,
    progress: Progress = no_progress,
) -> Scores:
    """The base model's embeddings of the texts, computed once for each text and kept for ever."""
    path = files.embeddings(project_id, f"{base.name}-{max_length}")
    known = files.read_arrays(path)
    arrays = _complete(known, tasks)
    if arrays is not None:
        kept, texts, digests = arrays
        vectors = base.embed(texts, max_length=max_length, progress=progress)
        known = _merge(kept, {"digests": digests, "embeddings": vectors})
        files.write_arrays(path, known)
    if known is None:
        known = {"digests": np.empty(0, np.int64), "embeddings": np.empty((0, base.dimensions), np.float32)}
    return Scores(known)


def _complete(
    known: dict[str, NDArray[np.generic]] | None, tasks: Sequence[TaskText]
) -> tuple[dict[str, NDArray[np.generic]] | None, list[str], NDArray[np.int64]] | None:
    """What is known, and the distinct texts that are missing from it; None if nothing is missing."""
    have = set() if known is None else set(known["digests"].tolist())
    missing = {task.digest: task.text for task in tasks if task.digest not in have}
    if not missing:
        return None
    return known, list(missing.values()), np.fromiter(missing, np.int64, len(missing))


def _merge(
    known: dict[str, NDArray[np.generic]] | None, fresh: dict[str, NDArray[np.generic]]
) -> dict[str, NDArray[np.generic]]:
    if known is not None:
        fresh = {name: np.concatenate([known[name], values]) for name, values in fresh.items()}
    order = np.argsort(fresh["digests"])
    return {name: np.ascontiguousarray(values[order]) for name, values in fresh.items()}

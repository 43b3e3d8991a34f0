"""Score a project's texts in this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from backend.errors import BackendError
from backend.learners.base import GradientOptions, Progress, UncertaintyOptions, no_progress
from backend.learners.base_model import BaseModel
from backend.learners.batching import TOKENS_A_BATCH
from backend.learners.kinds import output_names
from backend.learners.learner import Learner
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


def stacked(first: NDArray[np.generic], second: NDArray[np.generic]) -> NDArray[np.generic]:
    """The rows of both; where they differ in width, the narrower ones are filled up with zeros."""
    if first.shape[1:] == second.shape[1:]:
        return np.concatenate([first, second])
    width = tuple(map(max, first.shape[1:], second.shape[1:]))
    wider = [np.pad(a, [(0, 0), *((0, w - n) for w, n in zip(width, a.shape[1:], strict=True))])
             for a in (first, second)]  # fmt: skip
    return np.concatenate(wider)


def score(
    files: Files,
    project_id: int,
    adapter: int,
    learner: Learner,
    tasks: Sequence[TaskText],
    wanted: Mapping[str, str],
    *,
    gradient: GradientOptions = GradientOptions(),
    uncertainty: UncertaintyOptions = UncertaintyOptions(),
    progress: Progress = no_progress,
) -> None:
    """Compute the adapter's outputs and the wanted arrays of every distinct text, into the adapter's scores file.

    wanted: what to compute beside the outputs, by the name to keep it under. What an earlier call scored with the same
    adapter is kept, so that only new texts cost anything.
    """
    path = files.scores(project_id, adapter)
    known = files.read_arrays(path)
    if known is not None and not set(wanted) <= set(known):
        known = None
    missing = _complete(known, tasks)
    if missing is None:
        return
    kept, texts, digests = missing
    asked = {array.rpartition("/")[2] for array in wanted.values()}
    found = learner.score(texts, asked, gradient=gradient, uncertainty=uncertainty, progress=progress)
    outputs = {name: found[name] for name in output_names(learner.targets)}
    fresh = {"digests": digests, **outputs, **{name: found[array] for name, array in wanted.items()}}
    files.write_arrays(path, _merge(kept, fresh))


def embed(
    files: Files,
    project_id: int,
    base: BaseModel,
    tasks: Sequence[TaskText],
    *,
    max_length: int,
    halvings: int = 0,
    progress: Progress = no_progress,
) -> Scores:
    """The base model's embeddings of the texts, computed once for each text and kept for ever.

    halvings: how often to halve the batches.
    """
    path = files.embeddings(project_id, f"{base.name}-{max_length}")
    known = files.read_arrays(path)
    arrays = _complete(known, tasks)
    if arrays is not None:
        kept, texts, digests = arrays
        tokens = TOKENS_A_BATCH >> halvings
        vectors = base.embed(texts, max_length=max_length, tokens_a_batch=tokens, progress=progress)
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
        fresh = {name: stacked(known[name], values) for name, values in fresh.items()}
    order = np.argsort(fresh["digests"])
    return {name: np.ascontiguousarray(values[order]) for name, values in fresh.items()}

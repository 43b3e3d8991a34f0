"""Compute on a Ray cluster: each actor holds a replica of the model and computes parts of the texts."""

from __future__ import annotations

import logging
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from backend.errors import ModelError
from backend.learners.base import GradientOptions, Learner, UncertaintyOptions
from backend.learners.learner import LoraLearner
from backend.learners.models import memory
from backend.learners.models.base_model import BaseModel
from backend.learners.models.batching import TOKENS_A_BATCH
from backend.store.files.shards import ROWS

Places = NDArray[np.int64]
Arrays = dict[str, NDArray[Any]]
Read = Callable[[Places], list[str]]
Found = Generator[tuple[Places, Arrays]]

_PATIENCE = 10.0  # seconds to connect
_POLL = 5.0  # seconds between checks for results
_LONGEST_WAIT = 600.0  # seconds to wait while no replica computes
_TRIES = 3  # of a part whose replica died
_PARTS = 4  # at least, per replica, so that none idles long at the end


class Replica:
    """The model in a separate process: a base model, and an adapter if its files are given."""

    def __init__(self, base_model: str, files: dict[str, bytes] | None, batch_shrink: int) -> None:
        if not torch.cuda.is_available():
            torch.set_num_threads(1)  # one replica per CPU
        self._base = BaseModel(base_model)
        self._tokens = TOKENS_A_BATCH >> batch_shrink
        if files is not None:
            folder = Path(tempfile.mkdtemp(prefix="lsal-replica-"))
            for name, content in files.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(content)
            self._learner = LoraLearner.load(self._base, "replica", folder)
            self._learner.batch_shrink = batch_shrink
            if self._learner.committee is None:  # committee members are loaded from the folder later
                shutil.rmtree(folder)

    def ready(self) -> None:
        """Returns once the model is loaded."""

    def score(
        self, texts: list[str], names: set[str], gradient: GradientOptions, uncertainty: UncertaintyOptions
    ) -> Arrays:
        """Like `Learner.score`; names: the arrays to compute."""
        return dict(self._learner.score(texts, names, gradient=gradient, uncertainty=uncertainty))

    def embed(self, texts: list[str], max_length: int) -> Arrays:
        """Like `BaseModel.embed`."""
        return {"embeddings": self._base.embed(texts, max_length=max_length, tokens_a_batch=self._tokens)}


@dataclass(frozen=True, slots=True)
class Cluster:
    """The cluster at RAY_ADDRESS. Default: a temporary one on this machine's CPUs."""

    replicas: int | None = None  # default: one per GPU or, without GPUs, per CPU

    def score(
        self, learner: Learner, names: set[str], gradient: GradientOptions, uncertainty: UncertaintyOptions,
        places: Places, read: Read,
    ) -> Found:  # fmt: skip
        """Yield the named arrays of the texts at `places`, part by part in order of completion. Restarts dead replicas.

        Raises `ModelError`, or `MemoryError` if a replica ran out of memory.
        """
        files = {path.relative_to(learner.folder).as_posix(): path.read_bytes()
                 for path in learner.folder.rglob("*") if path.is_file()}  # fmt: skip
        yield from self._run((learner.base.name, files, learner.batch_shrink), "score",
                             (names, gradient, uncertainty), places, read)  # fmt: skip

    def embed(self, base: BaseModel, max_length: int, batch_shrink: int, places: Places, read: Read) -> Found:
        """Yield the embeddings of the texts at `places`, part by part in order of completion."""
        yield from self._run((base.name, None, batch_shrink), "embed", (max_length,), places, read)

    def _run(self, of: tuple[Any, ...], method: str, arguments: Sequence[Any], places: Places, read: Read) -> Found:
        with _joined() as ray:
            there = ray.cluster_resources()
            gpus = int(there.get("GPU", 0))
            count = self.replicas or max(1, gpus or int(there.get("CPU", 1)))
            size = max(1, min(ROWS, -(-len(places) // (_PARTS * count))))
            parts = [places[start : start + size] for start in range(0, len(places), size)]
            made = ray.remote(num_cpus=1, num_gpus=1 if gpus else 0, max_restarts=_TRIES, max_task_retries=_TRIES - 1)(
                Replica
            )
            shared = [ray.put(each) for each in of]  # stored once for all actors
            actors = [made.remote(*shared) for _ in range(min(count, len(parts)))]
            left, free = list(reversed(range(len(parts)))), list[Any]()
            # Parts go to started replicas only: others may wait long for a CPU, or forever.
            at_work: dict[Any, tuple[int | None, Any]] = {actor.ready.remote(): (None, actor) for actor in actors}
            idle_since = time.monotonic()
            while left or any(number is not None for number, _ in at_work.values()):
                while free and left:
                    number, actor = left.pop(), free.pop()
                    at_work[getattr(actor, method).remote(read(parts[number]), *arguments)] = number, actor
                done, _ = ray.wait(list(at_work), num_returns=1, timeout=_POLL)
                if not done:
                    if any(number is not None for number, _ in at_work.values()):
                        idle_since = time.monotonic()
                    elif time.monotonic() - idle_since > _LONGEST_WAIT:
                        raise ModelError(
                            f"no replica could start on the Ray cluster within {_LONGEST_WAIT:.0f} s; it has "
                            f"{int(there.get('CPU', 0))} CPUs and {gpus} GPUs, perhaps all in use"
                        )
                    continue
                of_part, actor = at_work.pop(done[0])
                with _translated(ray):
                    found = ray.get(done[0])
                free.append(actor)
                if of_part is not None:
                    yield parts[of_part], found


@contextmanager
def _joined() -> Iterator[Any]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # opt out of usage reports to Ray's developers
    try:
        import ray
    except ImportError:
        raise ModelError(
            "SCORING=ray requires the package ray; pip install 'label-studio-active-learning[ray]', or set it to local"
        ) from None
    address = os.environ.get("RAY_ADDRESS", "").rpartition("://")[2]
    try:
        if ":" in address:  # Ray itself would retry for minutes
            socket.create_connection((address.rpartition(":")[0], int(address.rpartition(":")[2])), _PATIENCE).close()
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError) as error:  # ConnectionError is an OSError
        raise ModelError(
            f"the Ray cluster cannot be reached ({type(error).__name__}: {error}); check RAY_ADDRESS, and that it runs "
            f"Ray {ray.__version__}"
        ) from None
    try:
        yield ray
    finally:
        ray.shutdown()


@contextmanager
def _translated(ray: Any) -> Iterator[None]:
    """Raise the error of a replica as `MemoryError` or `ModelError`."""
    try:
        yield
    except ray.exceptions.OutOfMemoryError as error:
        raise MemoryError(str(error)) from None
    except ray.exceptions.RayTaskError as error:
        if memory.ran_out(error.cause):
            raise MemoryError(str(error.cause)) from None
        raise ModelError(f"a replica on the Ray cluster failed: {type(error.cause).__name__}: {error.cause}") from None
    except ray.exceptions.RayError as error:
        if "creation task" not in str(error):
            raise ModelError(
                f"replicas on the Ray cluster died {_TRIES} times on the same texts ({type(error).__name__}): out of "
                "memory, or nodes left the cluster"
            ) from None
        reason = str(error).strip().splitlines()[-1]
        raise ModelError(
            f"a replica on the Ray cluster cannot start ({reason}); its nodes need the base model and this release of "
            "the backend"
        ) from None

"""Task records without the database: text, digest, labels, and the split into held-out tasks and candidates."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class TaskText:
    """A task's id and text, and the digest that its scores and embedding are stored under."""

    id: int
    text: str
    digest: int


class Listed(NamedTuple):
    """Tasks without their texts, ordered by id."""

    ids: NDArray[np.int64]  # (N,)
    digests: NDArray[np.int64]  # (N,) of the texts


@dataclass(frozen=True, slots=True)
class LabeledText:
    """A text and the labels that its annotators agree on."""

    id: int
    text: str
    digest: int
    values: dict[str, Any]  # by control name


class Placed(NamedTuple):
    """A task's state without its text."""

    digest: int
    audit: bool
    done: bool  # annotated or skipped
    labels: dict[str, Any] | None
    taken: bool = False  # has the model's label


def digest(text: str) -> int:
    """64-bit BLAKE2b as a signed integer, since databases have no unsigned integers."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big", signed=True)


def held_out(seed: int, task_id: int, share: float) -> bool:
    """Whether a task is held out: a function of seed and task id alone, so that nothing can bias it."""
    value = int.from_bytes(blake2b(f"{seed}:{task_id}".encode(), digest_size=8).digest(), "big")
    return value < share * 2**64


def held_out_order(task_ids: Iterable[int], seed: int) -> list[int]:
    """Task ids in a pseudo-random order fixed by the seed, so that each held-out task is queued once."""
    return sorted(task_ids, key=lambda task_id: digest(f"{seed}:order:{task_id}"))

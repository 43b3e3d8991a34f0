"""A task as others see it: its text, its digest, its labels, and whether it is held out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class TaskText:
    """A task's number and text, and the digest by which its scores and embedding are found."""

    id: int
    text: str
    digest: int


class Listed(NamedTuple):
    """Tasks without their texts, by id."""

    ids: NDArray[np.int64]  # (N,)
    digests: NDArray[np.int64]  # (N,) of the texts


@dataclass(frozen=True, slots=True)
class LabeledText:
    """A text with what its annotators agree on."""

    id: int
    text: str
    digest: int
    values: dict[str, Any]  # by the control's name


class Placed(NamedTuple):
    """What is known of a task beside its text."""

    digest: int
    audit: bool
    done: bool  # somebody annotated or skipped it
    labels: dict[str, Any] | None


def digest(text: str) -> int:
    """64 bits of BLAKE2b as a signed number, since databases know no unsigned ones."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big", signed=True)


def held_out(seed: int, task_id: int, share: float) -> bool:
    """Whether a task belongs to the audit part: decided by its number alone, so that nothing can bias it."""
    value = int.from_bytes(blake2b(f"{seed}:{task_id}".encode(), digest_size=8).digest(), "big")
    return value < share * 2**64


def held_out_order(task_ids: Iterable[int], seed: int) -> list[int]:
    """Tasks in an order that is random but always the same, so that each held-out one is asked for once."""
    return sorted(task_ids, key=lambda task_id: digest(f"{seed}:order:{task_id}"))

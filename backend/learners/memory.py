"""When memory runs out: tell it from other errors, and let go of what can be let go."""

from __future__ import annotations

import gc

import torch

_SAID = ("can't allocate memory", "not enough memory", "out of memory")  # by torch's allocators, in a RuntimeError


def ran_out(error: BaseException) -> bool:
    """Whether an error says that there was no memory left, on the processor or on a GPU."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(part in str(error).lower() for part in _SAID)


def release() -> None:
    """Give back what a failed try still holds."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()

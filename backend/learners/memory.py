"""Out-of-memory errors: recognise them, and free memory after one."""

from __future__ import annotations

import gc

import torch

_MESSAGES = ("can't allocate memory", "not enough memory", "out of memory")  # in a RuntimeError of torch's allocators


def ran_out(error: BaseException) -> bool:
    """Whether an error means that CPU or GPU memory ran out."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(part in str(error).lower() for part in _MESSAGES)


def release() -> None:
    """Free memory that a failed attempt still holds."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()

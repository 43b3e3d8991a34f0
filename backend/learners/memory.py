"""Out-of-memory errors: recognise them, and free memory after one."""

from __future__ import annotations

import ctypes
import gc
import sys

import torch

_MESSAGES = ("can't allocate memory", "not enough memory", "out of memory")  # in a RuntimeError of torch's allocators
# Of glibc only: other C libraries lack it.
_malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None


def ran_out(error: BaseException) -> bool:
    """Whether an error means that CPU or GPU memory ran out."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(part in str(error).lower() for part in _MESSAGES)


def release() -> None:
    """Return freed memory to the system: of objects, of a GPU's cache, and of the C allocator.

    glibc keeps what it freed: after one training on texts of 50 word pieces 2.1 GB stayed resident, 0.6 GB after
    `malloc_trim`.
    """
    gc.collect()
    if _malloc_trim is not None:
        _malloc_trim(0)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()

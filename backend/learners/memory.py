"""When memory runs out: tell it from other errors, and let go of what can be let go."""

from __future__ import annotations

import ctypes
import gc
import sys

import torch

_SAID = ("can't allocate memory", "not enough memory", "out of memory")  # by torch's allocators, in a RuntimeError
# Of glibc only: other C libraries lack it.
_malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None


def ran_out(error: BaseException) -> bool:
    """Whether an error says that there was no memory left, on the processor or on a GPU."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(part in str(error).lower() for part in _SAID)


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

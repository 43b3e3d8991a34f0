"""Out-of-memory errors: recognise them, and free memory after one."""

from __future__ import annotations

import ctypes
import gc
import sys
from pathlib import Path

import torch

_MESSAGES = ("can't allocate memory", "not enough memory", "out of memory")  # in a RuntimeError of torch's allocators
_TORCH = Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"
# Of glibc only: other C libraries lack it.
_malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
# Of torch with Intel's MKL only, which exports no public name for `mkl_free_buffers`.
_mkl_free_buffers = getattr(ctypes.CDLL(str(_TORCH)), "mkl_serv_free_buffers", None) if _TORCH.exists() else None


def ran_out(error: BaseException) -> bool:
    """Whether an error means that CPU or GPU memory ran out."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(part in str(error).lower() for part in _MESSAGES)


def release() -> None:
    """Free unreachable objects, then `trim`. Takes a second of CPU time: a worker has 700,000 objects."""
    gc.collect()
    trim()


def trim() -> None:
    """Return freed memory to the system: of the C allocator, of MKL, and of a GPU's cache. Takes 0.03 s.

    glibc keeps it, for each thread apart: after five trainings in five threads, on texts of up to 256 word pieces,
    8 GiB stayed resident, 0.8 GiB with `trim` after each. So does MKL with its buffers.
    """
    if _mkl_free_buffers is not None:
        _mkl_free_buffers()
    if _malloc_trim is not None:
        _malloc_trim(0)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()

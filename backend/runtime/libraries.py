"""Threads of torch, memory of threads, and log output of transformers."""

from __future__ import annotations

import ctypes
import os
import sys
import warnings

_ARENA_MAX = -8  # M_ARENA_MAX of glibc's malloc.h


def use_cores(*, spare: int) -> None:
    """Let torch compute on all available cores except `spare`, at least on one."""
    import torch  # takes seconds: only the commands that compute need it

    # The CPUs that this process may run on: fewer than the machine's under a limit of a container or taskset.
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    torch.set_num_threads(max(1, available - spare))


def quiet_libraries() -> None:
    """Turn off progress bars of transformers and its messages below ERROR, which would fill a server's log."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    # At each training peft uses a name that transformers has deprecated.
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")


def share_arenas() -> None:
    """Let all threads allocate from two arenas of glibc. Call before threads start.

    By default there are eight per core, and each keeps freed memory: a web server with many threads grows until each
    of them has read long texts, from 0.67 to 1.4 GB in a hundred calls; to 0.77 GB with this and `memory.trim`.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None  # not in other libraries
    if mallopt is not None:
        mallopt(_ARENA_MAX, 2)

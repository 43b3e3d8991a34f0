"""Child processes that end with their parent."""

from __future__ import annotations

import contextlib
import ctypes
import signal

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)  # loaded here: between fork and exec it could wait for a lock for ever


def end_with_parent() -> None:
    """Have Linux stop this process when its parent is killed: an orphaned worker would keep a new one from starting."""
    with contextlib.suppress(AttributeError):
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

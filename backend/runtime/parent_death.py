"""What Linux lets a child process have: an end with its parent, and a name of its own."""

from __future__ import annotations

import contextlib
import ctypes
import signal

_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15
_LIBC = ctypes.CDLL(None)  # loaded here: between fork and exec it could wait for a lock for ever


def end_with_parent() -> None:
    """Have Linux stop this process when its parent is killed: an orphaned worker would keep a new one from starting."""
    with contextlib.suppress(AttributeError):
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def name_process(name: str) -> None:
    """Have this process appear in `ps` and `top` under this name, of which Linux shows 15 characters."""
    with contextlib.suppress(AttributeError):
        _LIBC.prctl(_PR_SET_NAME, name.encode())

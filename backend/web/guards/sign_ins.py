"""Slow down who guesses passwords: after five wrong ones, an address waits before the next."""

from __future__ import annotations

import threading
import time

_FREE = 5  # wrong passwords without a wait
_LONGEST = 60.0  # seconds
_MOST = 1000  # addresses that are remembered


class SignIns:
    """Wrong passwords by address. Addresses from which the right one came never wait: Label Studio calls from one.

    Behind a proxy all callers have its address, so that none waits.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wrong: dict[str, tuple[int, float]] = {}  # number, and until when the next one waits
        self._right: set[str] = set()

    def wait(self, address: str) -> float:
        """Seconds until a password from this address is compared again; 0: now."""
        with self._lock:
            return max(0.0, self._wrong.get(address, (0, 0.0))[1] - time.monotonic())

    def note(self, address: str, *, right: bool) -> None:
        """Count a password that was compared."""
        with self._lock:
            if right:
                self._wrong.pop(address, None)
                self._right = {address} if len(self._right) >= _MOST else self._right | {address}
            elif address not in self._right:
                number = self._wrong.get(address, (0, 0.0))[0] + 1
                pause = min(_LONGEST, 2.0 ** (number - _FREE)) if number >= _FREE else 0.0
                if len(self._wrong) >= _MOST:
                    self._wrong.clear()
                self._wrong[address] = (number, time.monotonic() + pause)

"""Exponential backoff: how long to wait before the next attempt."""

from __future__ import annotations

_MOST_DOUBLINGS = 64  # keeps the power finite


def delay(failures: int, first: float, longest: float) -> float:
    """Seconds to wait after `failures` failed attempts in a row: 0, `first`, 2 · `first`, …, at most `longest`."""
    return min(first * 2.0 ** min(failures - 1, _MOST_DOUBLINGS), longest) if failures > 0 else 0.0

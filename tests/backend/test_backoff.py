"""Waits between attempts: none before the first failure, then twice as long each time, up to the longest."""

from __future__ import annotations

import pytest

from backend.backoff import delay


@pytest.mark.parametrize(
    ("failures", "seconds"), [(0, 0.0), (1, 30.0), (2, 60.0), (3, 120.0), (7, 1920.0), (8, 3600.0), (10**6, 3600.0)]
)
def test_it_doubles_up_to_the_longest(failures: int, seconds: float) -> None:
    assert delay(failures, first=30.0, longest=3600.0) == seconds


def test_the_longest_also_bounds_the_first() -> None:
    assert delay(1, first=30.0, longest=10.0) == 10.0

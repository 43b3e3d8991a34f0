"""What the learning curve draws."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.overview.quality import Curve
from backend.web.dashboard import charts
from tests.backend.web.dashboard.test_quality_sentences import ENGLISH, point


def curve(*labels: int) -> list[dict[str, Any]]:
    points = [{**point(30), "round": number, "labels": count} for number, count in enumerate(labels, 1)]
    found: Curve = {"points": points, "target": None, "former": None, "sure": None, "needed": None, "saved": None}  # type: ignore[typeddict-item]
    data: list[dict[str, Any]] = charts.curve(found, None, ENGLISH)["data"]
    return data


@given(st.lists(st.integers(0, 50), min_size=1, max_size=20))
def test_it_never_runs_backwards(labels: list[int]) -> None:
    """Deleted labels and a corrected config make later points with fewer labels."""
    for each in curve(*labels):
        if each["mode"] == "lines+markers":
            assert each["x"] == sorted(set(each["x"]))
            assert each["x"][-1] == labels[-1], "the last point is there"


def test_a_single_point_has_an_interval() -> None:
    bar, line = curve(40)
    assert (bar["x"], bar["y"]) == ([40, 40], [0.5, 0.9])
    assert bar["line"]["width"] > 0
    assert line["y"] == [0.7]


def test_several_points_have_a_band() -> None:
    high, low, line = curve(40, 60)
    assert (high["y"], low["y"], low["fill"]) == ([0.9, 0.9], [0.5, 0.5], "tonexty")
    assert line["y"] == pytest.approx([0.7, 0.7])

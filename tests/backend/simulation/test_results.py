"""What runs amount to."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from backend.errors import BackendError
from backend.simulation.charts import _draw_saved
from backend.simulation.comparison import aulc, labels_to_reach, summary
from backend.simulation.report import _cells, used_up, verdict
from backend.simulation.results import Results
from backend.simulation.runs import Run


def curve(*accuracy: float, batch: int = 10) -> list[dict[str, float]]:
    return [{"labels": batch * (i + 1), "accuracy": a, "macro_f1": a / 2} for i, a in enumerate(accuracy)]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_the_area_is_a_mean_accuracy(accuracy: list[float]) -> None:
    points = curve(*accuracy)
    expected = sum((a + b) / 2 for a, b in pairwise(accuracy)) / (len(accuracy) - 1) if accuracy[1:] else accuracy[0]
    assert aulc(points) == pytest.approx(expected, abs=1e-12)


def test_labels_to_reach_lies_between_the_points() -> None:
    labels, accuracy = [10, 20, 30], [0.5, 0.7, 0.6]
    assert labels_to_reach(0.4, labels, accuracy) == 10
    assert labels_to_reach(0.6, labels, accuracy) == pytest.approx(15)
    assert labels_to_reach(0.71, labels, accuracy) is None


def test_a_summary_compares_with_random_seed_by_seed(tmp_path: Path) -> None:
    results = Results(tmp_path, {"rounds": 2})
    for seed, (ours, theirs) in enumerate([((0.6, 0.9), (0.5, 0.7)), ((0.8, 1.0), (0.7, 0.9))]):
        results.keep(Run("random", seed, curve(*theirs)), finished=True)
        results.keep(Run("margin", seed, curve(*ours)), finished=True)
    best, baseline = results.summary()
    assert (best["strategy"], baseline["strategy"]) == ("margin", "random")
    assert best["aulc_mean"] == pytest.approx(0.825)
    assert best["over_random_mean"] == pytest.approx(0.125)
    assert best["over_random_se"] == pytest.approx(0.025)
    assert baseline["labels_to_random"] == pytest.approx(20)
    assert baseline["saved"] == pytest.approx(0)
    # random ends at 0.8; margin goes from 0.7 at 10 to 0.95 at 20
    assert best["labels_to_random"] == pytest.approx(14)
    assert best["saved"] == pytest.approx(0.3)
    assert (tmp_path / "results.csv").read_text().splitlines()[1] == "random,0,10,0.5,0.25"


def test_runs_are_kept_and_other_settings_refused(tmp_path: Path) -> None:
    results = Results(tmp_path, {"rounds": 2, "batch": 10})
    results.keep(Run("random", 0, curve(0.5, 0.7)), finished=True)
    results.keep(Run("margin", 0, curve(0.5), [4, 2]), finished=False)
    again = Results(tmp_path, {"rounds": 2, "batch": 10})
    assert again.has("random", 0)
    assert again.curves() == {"random": [curve(0.5, 0.7)]}
    assert again.run("margin", 0).chosen == [4, 2]
    assert again.run("margin", 1).curve == []
    with pytest.raises(BackendError, match="holds runs with another batch; choose another --out"):
        Results(tmp_path, {"rounds": 2, "batch": 20})


def test_an_unfinished_run_belongs_to_its_settings_too(tmp_path: Path) -> None:
    Results(tmp_path, {"batch": 40}).keep(Run("random", 0, curve(0.5), [4, 2]), finished=False)
    with pytest.raises(BackendError, match="another batch"):
        Results(tmp_path, {"batch": 5})


def test_one_seed_has_no_interval_and_seeds_are_compared_in_pairs(tmp_path: Path) -> None:
    results = Results(tmp_path, {})
    for seed, last in enumerate((0.5, 0.9)):
        results.keep(Run("random", seed, curve(0.3, last)), finished=True)
    results.keep(Run("margin", 0, curve(0.3, 0.6)), finished=True)
    margin = next(row for row in results.summary() if row["strategy"] == "margin")
    assert margin["aulc_sd"] is None
    assert margin["over_random_se"] is None
    assert margin["over_random_mean"] == pytest.approx(0.05)
    assert margin["labels_to_random"] == pytest.approx(10 + 10 * 2 / 3)  # 0.5, which random reached with the same seed


def runs(strategy: str, *last: float) -> list[Run]:
    return [Run(strategy, seed, curve(0.4, each)) for seed, each in enumerate(last)]


def test_a_plateau_of_random_labeling_is_no_merit_of_a_strategy() -> None:
    flat, alike = ([Run(name, seed, curve(0.5, 0.8, 0.81, 0.8)) for seed in range(4)] for name in ("random", "margin"))
    rows = {row["strategy"]: row for row in summary([*flat, *alike])}
    assert (rows["random"]["saved"], rows["margin"]["saved"]) == (0, pytest.approx(0, abs=1e-9))


def test_what_is_proven_and_what_not() -> None:
    baseline = runs("random", 0.70, 0.72, 0.71, 0.69, 0.73)
    better, alike, worse = (
        runs(name, *(run.curve[-1]["accuracy"] + more for run, more in zip(baseline, given, strict=True)))
        for name, given in (
            ("better", (0.05, 0.06, 0.05, 0.07, 0.05)),
            ("alike", (0.04, -0.05, 0.03, -0.02, 0.01)),
            ("worse", (-0.1, -0.11, -0.1, -0.09, -0.1)),
        )
    )
    rows = summary([*baseline, *better, *alike, *worse])
    assert {row["strategy"]: row["proven"] for row in rows} == {"random": 0, "better": 1, "alike": 0, "worse": -1}
    assert verdict(rows).startswith(
        "Proven on these test texts: better is better than random labeling; worse is worse than random labeling"
    )
    found = {row["strategy"]: row for row in rows}
    assert 0 < found["better"]["saved_low"] <= found["better"]["saved"] <= found["better"]["saved_high"] < 0.5
    assert found["alike"]["saved_low"] is None, "random's accuracy may not be reached at all"
    assert found["worse"]["saved"] is None
    assert verdict(summary([*baseline, *alike])).startswith("No strategy is proven better or worse")
    assert summary([*runs("random", 0.75, 0.75), *runs("margin", 0.8, 0.8)])[0]["proven"] == 0, "ties prove nothing"
    assert verdict(summary(baseline)).startswith("Name other strategies")
    assert "single seed" in verdict(summary([baseline[0], better[0]]))


@pytest.mark.parametrize(
    ("last", "seeds", "shown"),
    [
        ((0.75, 0.76, 0.74, 0.77, 0.75), 5, True),
        ((0.75, 0.76, 0.74, 0.77, 0.75), 2, False),  # no interval
        ((0.7, 0.75, 0.6, 0.72, 0.65), 5, False),  # some draws of the seeds reach random's last accuracy, not the mean
    ],
)
def test_what_is_saved_is_shown_with_its_interval_only(last: tuple[float, ...], seeds: int, shown: bool) -> None:
    rows = summary([*runs("random", *[0.7] * seeds), *runs("margin", *last[:seeds])])
    axes = Figure().subplots()
    _draw_saved(axes, rows)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["margin"] * shown
    cells = {row[0]: row[6] for row in _cells(rows)}
    assert ("(" in cells["margin"]) == shown


@given(st.lists(st.lists(st.floats(-0.1, 0.1), min_size=5, max_size=5), min_size=1, max_size=8))
@settings(max_examples=15)
def test_more_strategies_prove_no_more(differences: list[list[float]]) -> None:
    """They share the risk: what is proven among many is proven alone."""
    baseline = runs("random", *[0.5] * 5)
    each = [runs(f"s{n}", *(0.5 + more for more in given)) for n, given in enumerate(differences)]
    together = {row["strategy"]: row["proven"] for row in summary([*baseline, *(r for of in each for r in of)])}
    for of in each:
        (alone,) = (row["proven"] for row in summary([*baseline, *of]) if row["strategy"] != "random")
        assert together[of[0].strategy] in (0, alone)


def test_used_up_texts_are_told() -> None:
    assert used_up(100, 500) == []
    assert "500 of 500 texts" in used_up(500, 500)[0]

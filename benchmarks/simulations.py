"""Labels saved by each strategy on real data: all of benchmarks/results/simulations, and their common table.

    python -m benchmarks.simulations --data FOLDER [--learner probe] [--only trec6 sst2] [--table]

FOLDER holds trec6/, banking77/ and sst2/ with train.jsonl and test.jsonl each. Existing runs are kept; --table only
rewrites the common table. The probes take about two hours of one core, the adapters five.
"""

from __future__ import annotations

import argparse
import json
import statistics
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

from backend.runtime.libraries import quiet_libraries
from backend.runtime.progress import bar
from backend.simulation.comparison import summary
from backend.simulation.plan import read_plan
from backend.simulation.report import report
from backend.simulation.runs import Run

_RESULTS = Path(__file__).parent / "results" / "simulations"


class Setup(NamedTuple):
    """One simulation."""

    data: str
    label: str
    learner: str
    strategies: list[str]
    rounds: int
    batch: int
    seeds: int


_WITH_ADAPTERS = ["random", "margin", "badge", "egl", "bald", "default"]
SETUPS = {
    "trec6": Setup("trec6", "label", "probe", ["all"], 15, 20, 5),
    "sst2": Setup("sst2", "label", "probe", ["all"], 15, 20, 5),
    "trec50": Setup("trec6", "fine", "probe", ["all"], 10, 50, 5),
    "banking77": Setup("banking77", "label", "probe", ["all"], 12, 100, 5),
    "trec6-lora": Setup("trec6", "label", "lora", _WITH_ADAPTERS, 5, 100, 3),
    "banking77-lora": Setup("banking77", "label", "lora", _WITH_ADAPTERS, 3, 400, 3),
}


def main() -> None:
    """Simulate and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--learner", choices=["probe", "lora"])
    parser.add_argument("--only", nargs="+", choices=list(SETUPS), default=list(SETUPS))
    parser.add_argument("--table", action="store_true")
    arguments = parser.parse_args()
    quiet_libraries()
    for name in [] if arguments.table else arguments.only:
        setup = SETUPS[name]
        if arguments.learner in (None, setup.learner):
            folder = arguments.data / setup.data
            plan = read_plan(
                folder / "train.jsonl", folder / "test.jsonl", setup.strategies, rounds=setup.rounds,
                batch=setup.batch, seeds=setup.seeds, learner=setup.learner, text="text", label=setup.label,
                extra_params="{}",
            )  # fmt: skip
            report(plan, _RESULTS / name, bar)
    (_RESULTS / "README.md").write_text(_table(), "utf-8")
    print(_table())


def _table() -> str:
    """AULC over random of each strategy and simulation, the best mean over the probes first."""
    found = {
        name: {row["strategy"]: row for row in _summary(_RESULTS / name / "results.json")}
        for name in SETUPS
        if (_RESULTS / name / "results.json").exists()
    }
    found = {name: rows for name, rows in found.items() if "random" in rows}
    probes = [name for name in found if SETUPS[name].learner == "probe"]
    strategies = {strategy for rows in found.values() for strategy in rows}

    def mean(strategy: str) -> float:
        """Mean over all probes; −∞ if one of them lacks the strategy, since the data sets differ too much."""
        rows = [found[name].get(strategy) for name in probes]
        return statistics.mean(row["over_random_mean"] for row in rows if row) if all(rows) else float("-inf")

    heads = ["strategy", *found, "mean of probes"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for strategy in sorted(strategies, key=mean, reverse=True):
        cells = [_cell(found[name].get(strategy)) for name in found]
        shown = f"{100 * mean(strategy):+.1f}" if mean(strategy) > float("-inf") else ""
        lines.append(f"| {strategy} | {' | '.join(cells)} | {shown} |")
    about = [
        f"- `{name}`: {s.rounds} rounds of {s.batch} labels, {_seeds(found[name])} seeds, learner {s.learner}; "
        f"random's AULC {found[name]['random']['aulc_mean']:.3f}, "
        f"its final accuracy {found[name]['random']['last_accuracy']:.3f}"
        for name, s in SETUPS.items()
        if name in found
    ]
    intro = (
        "# What each strategy saves\n\nPoints of area under the learning curve (mean accuracy over the labels, in %) "
        "above `random`, paired by seed, ± standard error; in brackets the share of labels saved to reach random's "
        "final accuracy.\nWritten by `python -m benchmarks.simulations`; curves and numbers are in the folders.\n"
    )
    return "\n".join([intro, *lines, "", *about, ""])


def _summary(path: Path) -> list[dict[str, Any]]:
    """From the runs, so that earlier results are compared as new ones are."""
    names = {field.name for field in fields(Run)}
    found = json.loads(path.read_text("utf-8"))["runs"]
    return summary([Run(**{name: value for name, value in each.items() if name in names}) for each in found])


def _seeds(rows: dict[str, dict[str, Any]]) -> str:
    """Number of runs per strategy; a range while some are missing."""
    counts = {row["seeds"] for row in rows.values()}
    return str(*counts) if len(counts) == 1 else f"{min(counts)} to {max(counts)}"


def _cell(row: dict[str, Any] | None) -> str:
    if row is None:
        return ""
    saved = "–" if row["saved"] is None else f"{row['saved']:.0%}"
    half = "" if row["over_random_se"] is None else f" ± {100 * row['over_random_se']:.1f}"
    return f"{100 * row['over_random_mean']:+.1f}{half} ({saved})"


if __name__ == "__main__":
    main()

"""Effect of `balance` with rare classes: macro-F1 and accuracy on the 50 classes of TREC.

    python -m benchmarks.balance --data FOLDER

FOLDER holds trec6/ with train.jsonl and test.jsonl. Ten seeds, a linear head on MiniLM's embeddings; a few minutes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path

from backend.runtime.libraries import quiet_libraries
from backend.runtime.progress import bar
from backend.simulation.plan import read_plan
from backend.simulation.report import report

_RESULT = Path(__file__).parent / "results" / "balance.md"
_BALANCES = (0.0, 0.3, 0.5, 0.7)
_ROUNDS, _BATCH, _SEEDS = 14, 50, 10


def main() -> None:
    """Simulate, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    arguments = parser.parse_args()
    quiet_libraries()
    folder = arguments.data / "trec6"
    lines = [
        "# balance\n",
        f"`python -m benchmarks.balance`: the 50 classes of TREC (`fine`), {_ROUNDS} rounds of {_BATCH} labels, "
        f"{_SEEDS} seeds, the default strategy. Differences are paired by seed, ± standard error.\n",
        "| balance | macro-F1, mean over the rounds | over balance 0 | macro-F1 at the end | over balance 0 "
        "| accuracy, mean over the rounds | over balance 0 |",
        "|---|---|---|---|---|---|---|",
    ]
    first: dict[str, list[float]] | None = None
    for balance in _BALANCES:
        with tempfile.TemporaryDirectory() as out:
            plan = read_plan(
                folder / "train.jsonl", folder / "test.jsonl", ["default"], rounds=_ROUNDS, batch=_BATCH,
                seeds=_SEEDS, learner="probe", text="text", label="fine",
                extra_params=json.dumps({"balance": balance}),
            )  # fmt: skip
            report(plan, Path(out), bar)
            found = json.loads((Path(out) / "results.json").read_text("utf-8"))
        curves = [
            run["curve"] for run in sorted(found["runs"], key=lambda r: r["seed"]) if run["strategy"] == "default"
        ]
        values = {
            "macro": [statistics.mean(each["macro_f1"] for each in curve) for curve in curves],
            "last": [curve[-1]["macro_f1"] for curve in curves],
            "accuracy": [statistics.mean(each["accuracy"] for each in curve) for curve in curves],
        }
        first = first or values
        cells = [f"{balance:g}"]
        for name, each in values.items():
            beyond = [value - before for value, before in zip(each, first[name], strict=True)]
            error = statistics.stdev(beyond) / len(beyond) ** 0.5
            cells += [f"{statistics.mean(each):.3f}", f"{statistics.mean(beyond):+.3f} ± {error:.3f}"]
        lines.append(f"| {' | '.join(cells)} |")
    written = "\n".join(lines) + "\n"
    print(written)
    _RESULT.write_text(written, "utf-8")


if __name__ == "__main__":
    main()

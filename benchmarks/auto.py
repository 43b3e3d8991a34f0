"""The gain of `auto`, compared with the best fixed strategy in hindsight and with `random`.

    python -m benchmarks.auto --data FOLDER [--table]

FOLDER holds trec6/, banking77/ and sst2/ with train.jsonl and test.jsonl each. Ten seeds of each strategy, a linear
head on MiniLM's embeddings. Existing runs are kept; --table only rewrites the table. About half an hour of one core.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path

from backend.runtime.libraries import quiet_libraries
from backend.runtime.progress import bar
from backend.simulation.plan import read_plan
from backend.simulation.report import report
from benchmarks.simulations import SETUPS

_RESULTS = Path(__file__).parent / "results" / "auto"
_DATA = ["trec6", "sst2", "trec50", "banking77"]
_FIXED = ["default", "margin", "badge", "k_means", "hybrid", "entropy"]
_SEEDS = 10


def main() -> None:
    """Simulate and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--table", action="store_true")
    arguments = parser.parse_args()
    quiet_libraries()
    for name in [] if arguments.table else _DATA:
        setup, folder = SETUPS[name], arguments.data / SETUPS[name].data
        plan = read_plan(
            folder / "train.jsonl", folder / "test.jsonl", ["auto", *_FIXED], rounds=setup.rounds,
            batch=setup.batch, seeds=_SEEDS, learner="probe", text="text", label=setup.label, extra_params="{}",
        )  # fmt: skip
        report(plan, _RESULTS / name, bar)
    written = _table()
    print(written)
    (_RESULTS / "README.md").write_text(written, "utf-8")


def _table() -> str:
    lines = [
        "# auto\n",
        "`python -m benchmarks.auto`: area under the learning curve over that of `random`, in points of accuracy, mean "
        "of the seeds ± standard error, paired by seed. *kept*: relative to the gain of the best fixed "
        "strategy in hindsight. *shares*: of margin, badge, k_means and random in the last batch.\n",
        f"| data | seeds | auto | {' | '.join(_FIXED)} | best fixed | kept | shares |",
        f"|---|---|---|{'---|' * len(_FIXED)}---|---|---|",
    ]
    gains, best_gains = [], []
    for name in _DATA:
        found = json.loads((_RESULTS / name / "results.json").read_text("utf-8"))
        aulc = {(run["strategy"], run["seed"]): run["aulc"] for run in found["runs"]}
        names = ["random", "auto", *_FIXED]
        seeds = [seed for seed in range(_SEEDS) if all((strategy, seed) in aulc for strategy in names)]
        over = {
            strategy: [100 * (aulc[strategy, seed] - aulc["random", seed]) for seed in seeds]
            for strategy in ["auto", *_FIXED]
        }
        means = {strategy: statistics.mean(values) for strategy, values in over.items()}
        best = max(_FIXED, key=lambda strategy: means[strategy])
        gains.append(means["auto"])
        best_gains.append(means[best])
        last = [run["choosing"][-1]["shares"] for run in found["runs"] if run["strategy"] == "auto" and run["choosing"]]
        shares = ", ".join(f"{statistics.mean(each):.2f}" for each in zip(*last, strict=True))
        cells = [f"{means[s]:+.1f} ± {statistics.stdev(v) / len(v) ** 0.5:.1f}" for s, v in over.items()]
        kept = f"{100 * means['auto'] / means[best]:.0f} %" if means[best] > 0 else "-"
        lines.append(f"| {name} | {len(seeds)} | {' | '.join(cells)} | {best} | {kept} | {shares} |")
    lines.append(f"\nOver all data: {sum(gains):.1f} of {sum(best_gains):.1f} points, "
                 f"{100 * sum(gains) / sum(best_gains):.0f} %.")  # fmt: skip
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()

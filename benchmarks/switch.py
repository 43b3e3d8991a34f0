"""When to switch from the cold start to the strategy, and to which: variants of the product's default.

    python -m benchmarks.switch --data FOLDER

The probe on the data of `benchmarks.simulations`, 5 seeds; writes benchmarks/results/simulations/switch.md. Takes about
fifteen minutes of one core.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

import numpy as np

from backend.learners.models.base_model import BaseModel
from backend.options import ProjectOptions
from backend.runtime.libraries import quiet_libraries
from backend.runtime.progress import bar
from backend.simulation.data import read
from backend.simulation.learners import Probe
from backend.simulation.replay import DEFAULT, replay
from backend.simulation.results import aulc
from backend.simulation.runs import Run, Task
from benchmarks.simulations import SETUPS, Setup

_RESULT = Path(__file__).parent / "results" / "simulations" / "switch.md"
_TRIED = [("margin", 0), ("margin", 2), ("margin", 4), ("margin", 8), ("margin", 16), ("hybrid", 4), ("badge", 4)]


def main() -> None:
    """Simulate and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    data = parser.parse_args().data
    quiet_libraries()
    found = {name: _tried(data / setup.data, setup) for name, setup in SETUPS.items() if setup.learner == "probe"}
    lines = [f"| strategy | labels per class | {' | '.join(found)} | mean |", "|---" * (len(found) + 3) + "|"]
    for strategy, per_class in _TRIED:
        over = [rows[strategy, per_class] for rows in found.values()]
        cells = [f"{100 * mean:+.1f} ± {100 * error:.1f}" for mean, error in over]
        mean = 100 * statistics.mean(mean for mean, _ in over)
        lines.append(f"| `{strategy}` | {per_class} | {' | '.join(cells)} | {mean:+.1f} |")
    intro = (
        "# When to switch from the cold start\n\nPoints of area under the learning curve above `random` (5 seeds, ± "
        "standard error) of the cold start `k_means` followed by a strategy, by the number of labels per class at "
        "the switch.\nWritten by `python -m benchmarks.switch`.\n\n"
    )
    _RESULT.write_text(intro + "\n".join(lines) + "\n", "utf-8")
    print("\n".join(lines))


def _tried(folder: Path, setup: Setup) -> dict[tuple[str, int], tuple[float, float]]:
    """Gain over random of each setting: mean and standard error over the seeds."""
    train, test = (read(folder / f"{part}.jsonl", "text", setup.label) for part in ("train", "test"))
    classes = sorted({*train.labels, *test.labels})
    targets = [np.array([classes.index(label) for label in each.labels]) for each in (train, test)]
    task = Task(targets[0], targets[1], len(classes), setup.rounds, setup.batch)
    base = BaseModel("minilm")
    vectors = [base.embed(each.texts, max_length=ProjectOptions().max_length) for each in (train, test)]

    def area(name: str, options: ProjectOptions, seed: int) -> float:
        run = Run(name, seed)
        seeded = options.model_copy(update={"seed": seed})
        return aulc(replay(run, Probe(vectors[0], vectors[1], classes), task, seeded, lambda _: None).curve)

    found = {}
    with bar(f"{folder.name}, {setup.label}") as progress:
        baseline = [area("random", ProjectOptions(strategy="random"), seed) for seed in range(setup.seeds)]
        for number, (strategy, per_class) in enumerate(_TRIED, start=1):
            options = ProjectOptions(strategy=strategy, cold_start_per_class=per_class)
            over = [area(DEFAULT, options, seed) - baseline[seed] for seed in range(setup.seeds)]
            found[strategy, per_class] = statistics.mean(over), statistics.stdev(over) / len(over) ** 0.5
            progress(number, len(_TRIED))
    return found


if __name__ == "__main__":
    main()

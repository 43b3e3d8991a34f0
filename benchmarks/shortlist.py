"""Label efficiency and cost with and without `shortlist`, where the adapter scores a tenth of the pool.

    python -m benchmarks.shortlist --data FOLDER [--seeds 3]

FOLDER holds trec6/ and sst2/ with train.jsonl and test.jsonl each. Adapters on MiniLM, `margin`, twelve rounds of 20
labels from 3,000 texts. Paired by seed; existing runs are kept. About two hours of two cores.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import numpy as np

from backend.learners.models.base_model import BaseModel
from backend.options import ProjectOptions
from backend.runtime.libraries import quiet_libraries
from backend.simulation.learners import Lora
from backend.simulation.replay import replay
from backend.simulation.runs import Run, Task

_RESULTS = Path(__file__).parent / "results" / "shortlist"
_DATA = ("trec6", "sst2")
_POOL, _TEST, _ROUNDS, _BATCH = 3000, 1000, 12, 20
_ARMS: dict[str, dict[str, Any]] = {
    "all": {},
    "probe 10 %": {"shortlist": 0.1},
    "neighbors 10 %": {"shortlist": 0.1, "shortlist_by": "neighbors"},
}


def main() -> None:
    """Simulate and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    quiet_libraries()
    _RESULTS.mkdir(exist_ok=True)
    base = BaseModel("minilm")
    for seed in range(arguments.seeds):
        for name in _DATA:
            _simulate(base, arguments.data / name, name, seed)
            written = _table()
            (_RESULTS / "README.md").write_text(written, "utf-8")
            print(written, flush=True)


def _simulate(base: BaseModel, folder: Path, name: str, seed: int) -> None:
    path = _RESULTS / f"{name}.json"
    known: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    if all(f"{arm}/{seed}" in known for arm in _ARMS):
        return
    train, test = (
        [json.loads(line) for line in (folder / f"{part}.jsonl").read_text("utf-8").splitlines()]
        for part in ("train", "test")
    )
    train = [train[row] for row in np.random.default_rng(seed).permutation(len(train))[:_POOL]]
    test = test[:_TEST]
    classes = sorted({str(each["label"]) for each in train})
    of_train, of_test = (np.array([classes.index(str(e["label"])) for e in part]) for part in (train, test))
    task = Task(of_train, of_test, len(classes), _ROUNDS, _BATCH)
    texts = [each["text"] for each in train]
    vectors = base.embed(texts, max_length=256)
    for arm, extra in _ARMS.items():
        options = ProjectOptions.from_extra_params({"strategy": "margin", "seed": seed, **extra})
        learner = Lora(base, texts, [each["text"] for each in test], classes, vectors)
        run = replay(Run("margin", seed), learner, task, options, lambda _run: None)
        known[f"{arm}/{seed}"] = {
            "accuracy": [point["accuracy"] for point in run.curve], "seconds_scoring": run.seconds_scoring,
        }  # fmt: skip
        path.write_text(json.dumps(known, indent=1), "utf-8")


def _table() -> str:
    lines = [
        "# The adapter scores a tenth of the pool\n",
        "`python -m benchmarks.shortlist`: area under the learning curve (mean accuracy over the rounds), its "
        "difference from `all` paired by seed (mean ± standard error), and scoring time relative to `all`.\n",
        "| data | arm | seeds | area | against all | scoring |",
        "|---|---|---|---|---|---|",
    ]
    for path in sorted(_RESULTS.glob("*.json")):
        known = json.loads(path.read_text("utf-8"))
        seeds = [s for s in range(99) if all(f"{arm}/{s}" in known for arm in _ARMS)]
        for arm in _ARMS if seeds else ():
            mine, every = ([known[f"{name}/{seed}"] for seed in seeds] for name in (arm, "all"))
            areas = [statistics.mean(each["accuracy"]) for each in mine]
            lost = [a / statistics.mean(e["accuracy"]) - 1 for a, e in zip(areas, every, strict=True)]
            error = statistics.stdev(lost) / len(lost) ** 0.5 if len(lost) > 1 else float("nan")
            cost = sum(e["seconds_scoring"] for e in mine) / sum(e["seconds_scoring"] for e in every)
            lines.append(
                f"| {path.stem} | {arm} | {len(seeds)} | {statistics.mean(areas):.3f} | "
                f"{100 * statistics.mean(lost):+.1f} ± {100 * error:.1f} % | {100 * cost:.0f} % |"
            )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()

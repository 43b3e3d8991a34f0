"""The runs of a simulation on disk, and their summary."""

from __future__ import annotations

import csv
import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from backend.errors import BackendError
from backend.simulation.runs import Run


class Results:
    """The folder of a simulation: finished runs, and the completed rounds of unfinished ones."""

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        """`settings` are common to all runs. Raises `BackendError` if the folder holds runs with other settings."""
        self.folder = folder
        self._settings = settings
        self._runs: dict[tuple[str, int], Run] = {}
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "results.json").exists():
            self._write()  # settings are stored before the first run, so that a resumed simulation is checked
            return
        found = json.loads((folder / "results.json").read_text("utf-8"))
        if found["settings"] != settings:
            changed = [name for name in settings if found["settings"].get(name) != settings[name]]
            raise BackendError(
                f"{folder} holds runs with another {', '.join(changed)}; choose another --out, or delete it"
            )
        for each in found["runs"]:
            run = Run(**{name: value for name, value in each.items() if name != "aulc"})
            self._runs[run.strategy, run.seed] = run

    def has(self, strategy: str, seed: int) -> bool:
        """Whether the run is finished."""
        return (strategy, seed) in self._runs

    def run(self, strategy: str, seed: int) -> Run:
        """The run with its completed rounds."""
        path = self._unfinished(strategy, seed)
        return Run(**json.loads(path.read_text("utf-8"))) if path.exists() else Run(strategy, seed)

    def keep(self, run: Run, *, finished: bool) -> None:
        """Save the run with its completed rounds."""
        path = self._unfinished(run.strategy, run.seed)
        if not finished:
            _write(path, json.dumps(run.as_json()))
            return
        self._runs[run.strategy, run.seed] = run
        self._write()
        path.unlink(missing_ok=True)

    def _write(self) -> None:
        runs = list(self._runs.values())
        found = {
            "settings": self._settings,
            "runs": [{**run.as_json(), **_left(run), "aulc": aulc(run.curve)} for run in runs],
            "summary": self.summary(),
        }
        _write(self.folder / "results.json", json.dumps(found, indent=1))
        with (self.folder / "results.csv").open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(["strategy", "seed", "labels", "accuracy", "macro_f1"])
            table.writerows([r.strategy, r.seed, *point.values()] for r in runs for point in r.curve)

    def curves(self) -> dict[str, list[list[dict[str, float]]]]:
        """Learning curves of the finished runs, by strategy."""
        found: dict[str, list[list[dict[str, float]]]] = {}
        for run in self._runs.values():
            found.setdefault(run.strategy, []).append(run.curve)
        return found

    def summary(self) -> list[dict[str, Any]]:
        """One row per strategy, the highest area under the learning curve first."""
        by_strategy: dict[str, list[Run]] = {}
        for run in self._runs.values():
            by_strategy.setdefault(run.strategy, []).append(run)
        baseline = {run.seed: run for run in by_strategy.get("random", [])}
        rows = [_row(name, runs, baseline) for name, runs in by_strategy.items()]
        return sorted(rows, key=lambda row: -row["aulc_mean"])

    def _unfinished(self, strategy: str, seed: int) -> Path:
        return self.folder / f"unfinished-{strategy}-{seed}.json"


def _left(run: Run) -> dict[str, Any]:
    """Reduced fields of a finished run, which no longer needs the data to resume."""
    return {"chosen": [], "by": [], "choosing": run.choosing[-1:]}


def aulc(curve: Sequence[dict[str, float]]) -> float:
    """Area under accuracy over labels (trapezoid rule), divided by the range of labels: a mean accuracy."""
    labels, accuracy = [point["labels"] for point in curve], [point["accuracy"] for point in curve]
    if labels[-1] == labels[0]:
        return accuracy[0]
    return float(np.trapezoid(accuracy, labels) / (labels[-1] - labels[0]))


def labels_to_reach(target: float, labels: Sequence[float], accuracy: Sequence[float]) -> float | None:
    """Labels at which a curve first reaches the target, linearly interpolated; None if it never does."""
    for place, value in enumerate(accuracy):
        if value >= target:
            if place == 0:
                return labels[0]
            before = accuracy[place - 1]
            share = (target - before) / (value - before)
            return labels[place - 1] + share * (labels[place] - labels[place - 1])
    return None


def _row(name: str, runs: Sequence[Run], baseline: dict[int, Run]) -> dict[str, Any]:
    """Summary of one strategy; compared with random over the seeds that both have."""
    areas = [aulc(run.curve) for run in runs]
    pairs = [(run, baseline[run.seed]) for run in runs if run.seed in baseline]
    over = [aulc(run.curve) - aulc(other.curve) for run, other in pairs]
    needed = None
    if pairs:
        target = statistics.mean(other.curve[-1]["accuracy"] for _, other in pairs)
        labels = [point["labels"] for point in pairs[0][0].curve]
        by_round = zip(*([point["accuracy"] for point in run.curve] for run, _ in pairs), strict=True)
        needed = labels_to_reach(target, labels, [statistics.mean(values) for values in by_round])
    spread = _sd(over)
    return {
        "strategy": name,
        "seeds": len(runs),
        "aulc_mean": statistics.mean(areas),
        "aulc_sd": _sd(areas),
        "over_random_mean": statistics.mean(over) if over else None,  # of the differences per seed
        "over_random_se": None if spread is None else spread / len(over) ** 0.5,
        "last_accuracy": statistics.mean(run.curve[-1]["accuracy"] for run in runs),
        "last_macro_f1": statistics.mean(run.curve[-1]["macro_f1"] for run in runs),
        "labels_to_random": needed,  # to reach random's final accuracy
        "saved": None if needed is None else 1 - needed / runs[0].curve[-1]["labels"],
        "seconds_scoring": statistics.median(run.seconds_scoring for run in runs),
        "seconds_choosing": statistics.median(run.seconds_choosing for run in runs),
    }


def _sd(values: Sequence[float]) -> float | None:
    """Sample standard deviation; None for fewer than two values."""
    return statistics.stdev(values) if len(values) > 1 else None


def _write(path: Path, content: str) -> None:
    beside = path.with_name(f".{path.name}.{uuid4().hex}")
    beside.write_text(content, "utf-8")
    beside.replace(path)

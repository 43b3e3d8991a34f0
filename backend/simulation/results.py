"""The runs of a simulation on disk, and their summary."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any
from uuid import uuid4

from backend.errors import BackendError
from backend.simulation.comparison import aulc, summary
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
        return summary(list(self._runs.values()))

    def _unfinished(self, strategy: str, seed: int) -> Path:
        return self.folder / f"unfinished-{strategy}-{seed}.json"


def _left(run: Run) -> dict[str, Any]:
    """Reduced fields of a finished run, which no longer needs the data to resume."""
    return {"chosen": [], "by": [], "choosing": run.choosing[-1:]}


def _write(path: Path, content: str) -> None:
    beside = path.with_name(f".{path.name}.{uuid4().hex}")
    beside.write_text(content, "utf-8")
    beside.replace(path)

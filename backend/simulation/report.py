"""`lsal simulate`: read the data, simulate, write the results, and print the table."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

from backend.errors import BackendError
from backend.learners.base import Progress
from backend.simulation.charts import draw
from backend.simulation.data import read
from backend.simulation.simulate import Plan, simulate


def report(
    train: Path,
    test: Path,
    strategies: Sequence[str],
    out: Path,
    *,
    rounds: int,
    batch: int,
    seeds: int,
    learner: Literal["probe", "lora"],
    text: str,
    label: str,
    extra_params: str,
    bar: Callable[[str], AbstractContextManager[Progress]],
) -> None:
    """Simulate, and write results.json, results.csv, table.md, curves.html and curves.png to `out`."""
    plan = Plan(
        train=read(train, text, label), test=read(test, text, label), strategies=[s.strip() for s in strategies],
        rounds=rounds, batch=batch, seeds=seeds, learner=learner,
        extra_params=_parsed(extra_params),
    )  # fmt: skip
    results = simulate(plan, out, bar)
    summary = results.summary()
    title = (
        f"{train.parent.name or train.stem}, {learner}: {rounds} rounds of {batch} labels, {summary[0]['seeds']} seeds"
    )
    draw(results.curves(), [row["strategy"] for row in summary], out, title)
    head, *lines = _cells(summary)
    shown = Table(*head, title=title)
    for line in lines:
        shown.add_row(*line)
    Console().print(shown)
    markdown = "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *lines))
    (out / "table.md").write_text(f"{title}\n\n{markdown}\n", "utf-8")
    print(f"results.json, results.csv, table.md, curves.html and curves.png are in {out}")


def _parsed(extra_params: str) -> dict[str, Any]:
    try:
        found = json.loads(extra_params)
    except json.JSONDecodeError as error:
        raise BackendError(f"--extra-params is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise BackendError('--extra-params must be a JSON object such as {"committee": "lora"}')
    return found


def _cells(summary: Sequence[dict[str, Any]]) -> list[list[str]]:
    rows = [
        [
            "strategy", "AULC ± s.d.", "over random ± s.e.", "last accuracy", "last macro-F1",
            "labels to random's last", "saved", "scoring s", "choosing s",
        ]
    ]  # fmt: skip
    for row in summary:
        never = row["labels_to_random"] is None
        over = row["over_random_mean"]
        rows.append(
            [
                row["strategy"],
                f"{row['aulc_mean']:.4f}" + _interval(row["aulc_sd"]),
                "" if over is None else f"{over:+.4f}" + _interval(row["over_random_se"]),
                f"{row['last_accuracy']:.3f}",
                f"{row['last_macro_f1']:.3f}",
                "not reached" if never else f"{row['labels_to_random']:.0f}",
                "" if never else f"{row['saved']:.0%}",
                f"{row['seconds_scoring']:.1f}",
                f"{row['seconds_choosing']:.2f}",
            ]
        )
    return rows


def _interval(half: float | None) -> str:
    return "" if half is None else f" ± {half:.4f}"

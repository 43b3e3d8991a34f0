"""`lsal simulate`: simulate, write the results, and print the table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from backend.learners.base import Progress
from backend.simulation.charts import draw
from backend.simulation.plan import Plan
from backend.simulation.simulate import simulate

_LITTLE_LEFT = 0.5  # share of the texts that is labeled at the end


def report(plan: Plan, out: Path, bar: Callable[[str], AbstractContextManager[Progress]]) -> None:
    """Simulate, and write results.json, results.csv, table.md, curves.html and curves.png to `out`."""
    results = simulate(plan, out, bar)
    summary = results.summary()
    title = f"{plan.title}, {plan.learner}: {plan.rounds} rounds of {plan.batch} labels, {summary[0]['seeds']} seeds"
    draw(results.curves(), summary, out, title)
    head, *lines = _cells(summary)
    shown = Table(*head, title=title)
    for line in lines:
        shown.add_row(*line)
    Console().print(shown)
    notes = [verdict(summary), *used_up(plan.rounds * plan.batch, len(plan.train.texts))]
    print(*notes, sep="\n")
    markdown = "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *lines))
    written = "\n\n".join([title, markdown, *notes])
    (out / "table.md").write_text(f"{written}\n", "utf-8")
    print(f"results.json, results.csv, table.md, curves.html and curves.png are in {out}")


def verdict(summary: Sequence[dict[str, Any]]) -> str:
    """Which strategies are proven to be better or worse than random labeling."""
    others = [row for row in summary if row["strategy"] != "random"]
    better, worse = ([row["strategy"] for row in others if row["proven"] == sign] for sign in (1, -1))
    found = [f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} {how} than random labeling"
             for names, how in ((better, "better"), (worse, "worse")) if names]  # fmt: skip
    if found:
        return f"Proven on these test texts: {'; '.join(found)} (paired over the seeds, 5 % risk over all strategies)."
    if not others:
        return "Name other strategies with --strategy, to compare them with random labeling."
    if summary[0]["seeds"] < 2:
        return "Nothing is proven by a single seed; add --seeds 5."
    return "No strategy is proven better or worse than random labeling here; more seeds or larger data may show it."


def used_up(labels: int, texts: int) -> list[str]:
    """That the last rounds leave little to choose from."""
    if labels < _LITTLE_LEFT * texts:
        return []
    return [
        f"The rounds label {labels} of {texts} texts: toward the end all strategies have nearly the same labels, so "
        "that their last accuracies hardly differ. Fewer rounds, or more texts, compare them better."
    ]


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
                "" if never else _saved(row),
                f"{row['seconds_scoring']:.1f}",
                f"{row['seconds_choosing']:.2f}",
            ]
        )
    return rows


def _saved(row: dict[str, Any]) -> str:
    """The share saved with its interval, which is open where random's final accuracy may not be reached at all.

    Too few seeds for an interval leave it blank.
    """
    if row["strategy"] == "random":
        return f"{row['saved']:.0%}"
    if row["saved_high"] is None:
        return ""
    low = "none" if row["saved_low"] is None else f"{row['saved_low']:.0%}"
    return f"{row['saved']:.0%} ({low} to {row['saved_high']:.0%})"


def _interval(half: float | None) -> str:
    return "" if half is None else f" ± {half:.4f}"

"""Learning curves: an interactive page and a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.figure import Figure

Curves = dict[str, list[list[dict[str, float]]]]  # by strategy, one per seed

_BANDS = 5  # strategies that get a band
_AXIS = -50.0  # its left end, in % of the labels; losses beyond it are cut off


def draw(curves: Curves, summary: Sequence[dict[str, Any]], folder: Path, title: str) -> None:
    """Write curves.html and curves.png. `summary`: a row per strategy, best first, as in the legend.

    random is black and dashed. Only random and the best few get a band of one standard deviation: more bands would
    hide the lines.
    """
    order = [row["strategy"] for row in summary]
    bands, lines = [], []
    picture = Figure(figsize=(11, 5.5), layout="constrained")
    axes, beside = picture.subplots(1, 2, width_ratios=(3, 1))
    for name, color in zip(order, _colors(order), strict=True):
        labels = [point["labels"] for point in curves[name][0]]
        accuracy = np.array([[point["accuracy"] for point in run] for run in curves[name]])
        middle, spread = accuracy.mean(axis=0), accuracy.std(axis=0, ddof=min(1, len(accuracy) - 1))
        dashed = name == "random"
        axes.plot(labels, middle, color=color, label=name, linestyle="--" if dashed else "-", marker=".", zorder=3)
        lines.append(
            go.Scatter(
                x=labels, y=middle, name=name, legendgroup=name, mode="lines+markers", line_color=color,
                line_dash="dash" if dashed else "solid", hovertemplate="%{y:.3f}",
            )
        )  # fmt: skip
        if dashed or name in order[:_BANDS]:
            low, high = middle - spread, middle + spread
            axes.fill_between(labels, low, high, color=color, alpha=0.12, linewidth=0)
            bands.append(
                go.Scatter(
                    x=[*labels, *labels[::-1]], y=[*high, *low[::-1]], fill="toself", fillcolor=color, opacity=0.15,
                    line_width=0, mode="lines", hoverinfo="skip", showlegend=False, legendgroup=name,
                )
            )  # fmt: skip
    axes.set(xlabel="labels", ylabel="accuracy on the test texts", title=title)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", ncols=1 if len(order) < 12 else 2, loc="lower right")
    _draw_saved(beside, summary)
    picture.savefig(folder / "curves.png", dpi=110)
    page = go.Figure([*bands, *lines])
    page.update_layout(
        title={"text": title, "subtitle": {"text": "Mean over seeds; bands are one standard deviation"}},
        xaxis_title="labels", yaxis_title="accuracy on the test texts", template="plotly_white", hovermode="x unified",
    )  # fmt: skip
    config = {"responsive": True, "showSendToCloud": False}  # no button that uploads the data
    page.write_html(folder / "curves.html", include_plotlyjs=True, default_height="95vh", config=config)


def _draw_saved(axes: Axes, summary: Sequence[dict[str, Any]]) -> None:
    """The share of labels saved by each strategy that reaches random's final accuracy, with its interval."""
    with_interval = [row for row in summary if None not in (row["saved"], row["saved_high"])]
    reached = [row for row in reversed(with_interval) if row["strategy"] != "random"]
    for place, row in enumerate(reached):
        low = _AXIS if row["saved_low"] is None else 100 * row["saved_low"]
        axes.plot([low, 100 * row["saved_high"]], [place, place], color="tab:gray", linewidth=2)
        axes.plot(100 * row["saved"], place, "o", color="tab:blue")
    axes.axvline(0, color="k", linestyle="--", linewidth=1)
    axes.set_yticks(range(len(reached)), [row["strategy"] for row in reached])
    axes.set(xlabel="% of random's labels saved", xlim=(_AXIS, 100), ylim=(-0.7, len(reached) - 0.3))
    axes.grid(alpha=0.3, axis="x")


def _colors(order: Sequence[str]) -> list[str]:
    palette = mpl.colormaps["tab20"]
    return [
        "#000000" if name == "random" else mpl.colors.to_hex(palette(place % 20)) for place, name in enumerate(order)
    ]

"""Learning curves: an interactive page and a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import plotly.graph_objects as go
from matplotlib.figure import Figure

Curves = dict[str, list[list[dict[str, float]]]]  # by strategy, one per seed

_BANDS = 5  # strategies that get a band


def draw(curves: Curves, order: Sequence[str], folder: Path, title: str) -> None:
    """Write curves.html and curves.png. `order`: strategies in the order of the legend, best first.

    random is black and dashed. Only random and the best few get a band of one standard deviation: more bands would
    hide the lines.
    """
    bands, lines = [], []
    picture = Figure(figsize=(9, 5.5), layout="constrained")
    axes = picture.add_subplot()
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
    picture.savefig(folder / "curves.png", dpi=110)
    page = go.Figure([*bands, *lines])
    page.update_layout(
        title={"text": title, "subtitle": {"text": "Mean over seeds; bands are one standard deviation"}},
        xaxis_title="labels", yaxis_title="accuracy on the test texts", template="plotly_white", hovermode="x unified",
    )  # fmt: skip
    config = {"responsive": True, "showSendToCloud": False}  # no button that uploads the data
    page.write_html(folder / "curves.html", include_plotlyjs=True, default_height="95vh", config=config)


def _colors(order: Sequence[str]) -> list[str]:
    palette = mpl.colormaps["tab20"]
    return [
        "#000000" if name == "random" else mpl.colors.to_hex(palette(place % 20)) for place, name in enumerate(order)
    ]

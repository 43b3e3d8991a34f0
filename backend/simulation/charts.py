"""Learning curves: a page to hover over, and a picture for a document."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import plotly.graph_objects as go
from matplotlib.figure import Figure

Curves = dict[str, list[list[dict[str, float]]]]  # of each strategy, one a seed

_TITLE = "Accuracy over labels; bands are one standard deviation over seeds"


def draw(curves: Curves, order: Sequence[str], folder: Path, title: str) -> None:
    """Write curves.html and curves.png. `order` is how the strategies stand in the legend; random is black, dashed."""
    page = go.Figure()
    picture = Figure(figsize=(9, 5.5), layout="constrained")
    axes = picture.add_subplot()
    for name, color in zip(order, _colors(order), strict=True):
        runs = curves[name]
        labels = np.array([point["labels"] for point in runs[0]])
        accuracy = np.array([[point["accuracy"] for point in run] for run in runs])
        middle, spread = accuracy.mean(axis=0), accuracy.std(axis=0)
        dash = name == "random"
        axes.plot(labels, middle, color=color, label=name, linestyle="--" if dash else "-", marker=".", zorder=3)
        axes.fill_between(labels, middle - spread, middle + spread, color=color, alpha=0.10, linewidth=0)
        band = {
            "x": np.concatenate([labels, labels[::-1]]),
            "y": np.concatenate([middle + spread, (middle - spread)[::-1]]),
        }
        page.add_scatter(
            **band, fill="toself", fillcolor=color, opacity=0.12, line_width=0, hoverinfo="skip", showlegend=False,
            legendgroup=name,
        )  # fmt: skip
        page.add_scatter(
            x=labels, y=middle, name=name, legendgroup=name, mode="lines+markers", line_color=color,
            line_dash="dash" if dash else "solid", hovertemplate="%{x} labels: %{y:.3f}",
        )  # fmt: skip
    axes.set(xlabel="labels", ylabel="accuracy on the test texts", title=title)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", ncols=1 if len(order) < 12 else 2, loc="lower right")
    picture.savefig(folder / "curves.png", dpi=110)
    page.update_layout(
        title={"text": title, "subtitle": {"text": _TITLE}}, xaxis_title="labels",
        yaxis_title="accuracy on the test texts", template="plotly_white", hovermode="x unified",
    )  # fmt: skip
    page.write_html(folder / "curves.html", include_plotlyjs=True)


def _colors(order: Sequence[str]) -> list[str]:
    palette = mpl.colormaps["tab20"]
    return [
        "#000000" if name == "random" else mpl.colors.to_hex(palette(place % 20)) for place, name in enumerate(order)
    ]

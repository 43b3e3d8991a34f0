"""Charts in plotly's JSON. Colours are variables of the style sheet, which fit the light and the dark scheme."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from backend.evaluation.bounds import ENOUGH
from backend.overview.confusion import Confusion
from backend.overview.history import RoundState
from backend.overview.quality import Curve, Forecast, Point
from backend.web.dashboard import quality_sentences, sentences
from backend.web.dashboard.language import Language

Chart = dict[str, Any]

_READABLE = 15  # classes up to which the cells of a matrix have numbers
_FEW = 5  # labeled tasks of the most frequent class
_STEPS = ("sync", "train", "score", "evaluate", "select", "publish", "judge")


def curve(control: Curve, forecast: Forecast | None, t: Language) -> Chart:
    """Held-out score over labels, with its interval, the target, and the forecast of when it is reached."""
    points = _forward(control["points"])
    labels = [point["labels"] for point in points]
    score = quality_sentences.metric(points[-1]["metric"], t)
    data: list[Chart] = [
        *_band(points, t.gettext("95 % interval")),
        {
            **_line(labels, [_known(point) for point in points], width=2, name=score),
            "mode": "lines+markers",
            "customdata": [[point["held_out"], point["low"], point["high"]] for point in points],
            "hovertemplate": "%{y:.3f} (%{customdata[1]:.3f} – %{customdata[2]:.3f})<br>"
            + t.gettext("%{x} labels, %{customdata[0]} of them held out")
            + "<extra></extra>",
        },
    ]  # fmt: skip
    target, last = control["target"], labels[-1]
    until = last
    if target is not None and forecast is not None:
        middle, until = last + forecast["labels"], last + (forecast["high"] or forecast["labels"])
        data.append(
            {
                "x": [middle], "y": [target], "mode": "markers", "name": t.gettext("forecast"),
                "marker": {"symbol": "diamond-open", "size": 10, "color": "var(--second)", "line": {"width": 2}},
                "error_x": {
                    "type": "data", "symmetric": False, "array": [until - middle],
                    "arrayminus": [forecast["labels"] - forecast["low"]], "color": "var(--second)",
                },
                "hovertemplate": t.gettext("target reached at about %{x} labels") + "<extra></extra>",
            }
        )  # fmt: skip
    if target is not None:
        data.append(_line([labels[0], until], [target, target], name=t.gettext("target"), color="var(--second)",
                          dash="dash", width=1.5, hoverinfo="skip"))  # fmt: skip
    return _chart(data, x=t.gettext("labels"), y=score, legend=True)


def _forward(points: Sequence[Point]) -> list[Point]:
    """Without points that have as many labels as a later one: when labels are deleted, the curve starts there again."""
    kept: list[Point] = []
    for point in reversed(points):
        if not kept or point["labels"] < kept[-1]["labels"]:
            kept.append(point)
    return kept[::-1]


def _band(points: Sequence[Point], name: str) -> list[Chart]:
    """The intervals: a band between two lines, or a bar at a single point."""
    labels, low, high = ([point[each] for point in points] for each in ("labels", "low", "high"))
    if len(points) == 1:
        return [_line([*labels, *labels], [*low, *high], width=6, hoverinfo="skip", color="var(--band)", name=name)]
    return [
        _line(labels, high, width=0, hoverinfo="skip", showlegend=False),
        _line(labels, low, width=0, hoverinfo="skip", fill="tonexty", fillcolor="var(--band)", name=name),
    ]


def accuracies(found: Sequence[tuple[float, int]], t: Language) -> Chart:
    """How many labels of the model could be taken, by the accuracy that is to be proven."""
    line = _line([accuracy for accuracy, _ in found], [count for _, count in found], width=2)
    chart = _chart(
        [{**line, "mode": "lines+markers", "hovertemplate": "%{x:.0%}: %{y}<extra></extra>"}],
        x=t.gettext("accuracy"), y=t.gettext("labels of the model"),
    )  # fmt: skip
    chart["layout"]["xaxis"] |= {"tickformat": ".0%", "rangemode": "normal"}
    chart["layout"]["yaxis"] |= {"rangemode": "tozero"}
    return chart


def matrix(found: Confusion, t: Language) -> Chart:
    """Held-out tasks by label (row) and prediction (column)."""
    names = [escape(name, quote=False) for name in found["names"]]
    highest = max(map(max, found["matrix"]))
    chart = _chart(
        [
            {
                "type": "heatmap", "x": names, "y": names, "z": found["matrix"], "zmin": 0, "zmax": max(1, highest),
                "colorscale": [[0, "var(--card)"], [1, "var(--cell)"]], "showscale": False, "xgap": 1, "ygap": 1,
                "text": [[str(count) if count else "" for count in row] for row in found["matrix"]],
                "textfont": {"color": "var(--ink)"},
                "texttemplate": "%{text}" if len(names) <= _READABLE else "",
                "hovertemplate": t.gettext("label %{y}, prediction %{x}: %{z}") + "<extra></extra>",
            }
        ],
        x=t.gettext("prediction"), y=t.gettext("label"),
    )  # fmt: skip
    chart["layout"]["height"] = 150 + min(28 * len(names), 560)
    for axis in ("xaxis", "yaxis"):
        title = {**chart["layout"][axis]["title"], "standoff": 12}  # or it would stand on long names
        chart["layout"][axis] = {"title": title, "type": "category", "automargin": True}
    chart["layout"]["yaxis"]["autorange"] = "reversed"
    return chart


def bars(counts: dict[str, int], t: Language) -> Chart:
    """One bar per class, the most frequent at the top."""
    names = sorted(counts, key=lambda name: (counts[name], name))
    chart = _chart(
        [
            {
                "type": "bar", "orientation": "h", "x": [counts[name] for name in names],
                "y": [escape(name, quote=False) for name in names],  # plotly draws tags, links among them
                "marker": {"color": "var(--first)"}, "hovertemplate": "%{y}: %{x}<extra></extra>",
            }
        ],
        x=t.gettext("labeled tasks"), y="",
    )  # fmt: skip
    chart["layout"]["height"] = 90 + 24 * len(names)
    chart["layout"]["yaxis"] |= {"type": "category", "dtick": 1}
    if max(counts.values(), default=0) <= _FEW:  # otherwise the axis has fractions of tasks
        chart["layout"]["xaxis"] |= {"dtick": 1, "range": [0, max(1, *counts.values())]}
    return chart


def seconds(rounds: list[RoundState], t: Language) -> Chart:
    """Duration of each step of each round."""
    oldest_first = rounds[::-1]
    numbers = [each["round"] for each in oldest_first]
    data = []
    for place, step in enumerate(_STEPS):
        spent, name = [each["seconds"].get(step, 0) for each in oldest_first], sentences.step(step, t)
        color = {"color": f"var(--step-{place})"}
        if any(spent):
            data.append({"type": "bar", "name": name, "x": numbers, "y": spent, "marker": color,
                         "hovertemplate": name + ": %{y:.1f} s<extra></extra>"})  # fmt: skip
    chart = _chart(data, x=t.gettext("round"), y=t.gettext("seconds"), legend=True)
    chart["layout"] |= {"barmode": "stack", "hovermode": "x unified"}
    chart["layout"]["xaxis"] |= {"tickformat": "d", "rangemode": "normal"}
    return chart


def _known(point: Point) -> float | None:
    """The score, or no point of the line while it is measured on few labels."""
    return point["score"] if point["held_out"] >= ENOUGH else None


def _line(
    x: Sequence[float],
    y: Sequence[float | None],  # None: no point
    *,
    color: str = "var(--first)",
    width: float,
    dash: str = "solid",
    **more: Any,
) -> Chart:
    return {"x": x, "y": y, "mode": "lines", "line": {"color": color, "width": width, "dash": dash}, **more}


def _chart(data: list[Chart], *, x: str, y: str, legend: bool = False) -> Chart:
    layout = {
        "xaxis": {"title": {"text": x}, "rangemode": "tozero"},
        "yaxis": {"title": {"text": y}, "automargin": True},
        "showlegend": legend,
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        "margin": {"l": 56, "r": 12, "t": 8, "b": 44},
        "height": 320,
    }
    return {"data": data, "layout": layout}

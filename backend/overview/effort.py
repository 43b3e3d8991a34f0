"""Labels in hours and money: spent so far, saved against random labeling, and still needed for the target."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from backend.overview.quality import Quality
from backend.rounds.context import options_of
from backend.store import Store
from backend.store.sql.models import Project


class Effort(TypedDict):
    """A number of labels, and what they cost."""

    labels: int
    hours: Annotated[float | None, Field(description="Of annotation. Null: Label Studio recorded no times")]
    money: Annotated[float | None, Field(description="By the option `cost_per_hour`. Null: not set, or no times")]


class Efforts(TypedDict):
    """The effort of a project, at the mean duration of its labels so far."""

    spent: Effort
    timed: Annotated[int, Field(description="Labels whose time Label Studio recorded; `spent` has the hours of those")]
    saved: Annotated[
        Effort | None, Field(description="At least, against random labeling. Null: not yet known, or nothing")
    ]
    needed: Annotated[Effort | None, Field(description="For the target, the median. Null: unknown, or reached")]
    needed_between: Annotated[list[Effort] | None, Field(description="The same: the interval of 8 in 10 cases")]


def efforts(store: Store, project: Project, measured: Quality) -> Efforts:
    """measured: the project's `quality`."""
    mine, options = store.of(project.id), options_of(project)
    price = options.cost_per_hour
    hours, timed = mine.annotations.hours(), mine.annotations.count_timed()

    def effort(count: float, takes: float | None = None) -> Effort:
        spent = hours * count / timed if takes is None and timed else takes
        return {
            "labels": round(count),
            "hours": spent or None,
            "money": None if not spent or price is None else spent * price,
        }

    arms = [each["saved"] for each in measured["controls"].values() if each["saved"] is not None]
    saved = 0.0
    if len(arms) == 1 and "needed" in arms[0]:  # the upper end of the interval; None: all of these labels
        saved = arms[0]["labels"] - (arms[0]["needed_interval"][1] or arms[0]["labels"])
    ahead = measured["forecast"]
    known = options.target is not None and measured["held_out_left"] > 0 and not measured["reached"]
    needed = ahead if known and ahead is not None and ahead["high"] is not None else None
    return {
        "spent": effort(mine.tasks.count_labeled(), hours),
        "timed": timed,
        "saved": effort(saved) if saved >= 1 else None,
        "needed": effort(needed["labels"]) if needed is not None else None,
        "needed_between": [effort(needed["low"]), effort(needed["high"] or 0)] if needed is not None else None,
    }

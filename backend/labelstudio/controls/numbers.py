"""`<Rating>` and `<Number>`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import Any

from backend.errors import UnsupportedConfigError
from backend.labelstudio.controls.base import Output, Region, UnusableError, number, only, region
from backend.labelstudio.label_config.task_spec import Control
from backend.labelstudio.unusable import Reason
from backend.targets import Target

_LARGEST = 1e30  # of single precision, which models calculate with, a margin below the end


class Numbers:
    """One number per text, within the control's range."""

    def read(self, tag: Any) -> Control:
        """The control; a rating is a whole number from 1 to `maxRating`."""
        if tag.tag == "Rating":
            bounds: tuple[float | None, ...] = (1.0, number(tag, "maxRating") or 5.0, 1.0)
        else:
            bounds = (number(tag, "min"), number(tag, "max"), number(tag, "step"))
        low, high, step = bounds
        if low is not None and high is not None and low >= high:
            raise UnsupportedConfigError(
                f"<{tag.tag} name='{tag.get('name')}'> has the range {low:g} to {high:g}; "
                "its end must be above its start"
            )
        if step is not None and step <= 0:
            raise UnsupportedConfigError(
                f"<{tag.tag} name='{tag.get('name')}'> has step='{step:g}'; it must be above 0"
            )
        return Control(Target(str(tag.get("name")), "regression", low=low, high=high, step=step), "", tag.tag.lower())

    def value(self, control: Control, regions: Sequence[Region], text: str | None = None) -> float | None:
        """The number."""
        found = only([each["value"].get(control.type) for each in regions])
        if found is None:
            return None
        if isinstance(found, bool) or not isinstance(found, int | float) or found != found:
            raise UnusableError(Reason.UNREADABLE)
        if abs(found) > _LARGEST:
            raise UnusableError(Reason.TOO_LARGE)
        return float(found)

    def agreed(self, values: Sequence[float]) -> float:
        """The median, which is robust to one annotator's mistake."""
        return float(median(values))

    def regions(self, control: Control, value: float, text: str) -> list[Region]:
        """One region; whole numbers are integers, as in Label Studio."""
        return [region(control, {control.type: int(value) if value == int(value) else value})]

    def predicted(self, control: Control, learned: Target, output: Output, text: str) -> tuple[float, None]:
        """The nearest number that the control accepts. A single number has no confidence."""
        return within(control.target, float(output["value"])), None


def within(target: Target, value: float) -> float:
    """The nearest number that the control accepts."""
    low = -math.inf if target.low is None else target.low
    high = math.inf if target.high is None else target.high
    value = min(max(value, low), high)
    if target.step is None:
        return round(value, 4)
    start = 0.0 if target.low is None else target.low
    steps = round((value - start) / target.step)
    if high < math.inf:
        steps = min(steps, math.floor((high - start) / target.step + 1e-9))
    return round(start + steps * target.step, 9)

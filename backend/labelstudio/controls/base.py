"""The protocol of control kinds, and functions that they share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from backend.errors import UnsupportedConfigError
from backend.labelstudio.label_config.task_spec import Control
from backend.labelstudio.unusable import Reason
from backend.targets import Target

_CLEARLY = 1.1  # times the weight of the next value
Region = dict[str, Any]  # an element of a `result`; `value` is an object
Output = Mapping[str, NDArray[np.generic]]  # the learner's output for one text, by array name


class UnusableError(Exception):
    """Annotated regions that cannot be learned from."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


class ControlKind(Protocol):
    """Reads a control, and converts annotated regions to values of its target, and outputs to regions."""

    def read(self, tag: Any) -> Control:
        """The control of an XML element. Raises `UnsupportedConfigError` with a message that names it."""

    def value(self, control: Control, regions: Sequence[Region], text: str | None = None) -> Any | None:
        """The value of one annotation's regions of this control; None if they give no label.

        text: of the task, if known. Spans in dialogues need it, others are checked against it.
        Raises `UnusableError` if they give one that cannot be learned.
        """

    def agreed(self, values: Sequence[Any]) -> Any | None:
        """The value that annotators agree on; None if they disagree. values: at least one."""

    def regions(self, control: Control, value: Any, text: str) -> list[Region]:
        """The regions of a value: the inverse of `value`."""

    def predicted(
        self, control: Control, learned: Target, output: Output, text: str
    ) -> tuple[Any | None, float | None]:
        """The value to show for an output, or None, and its confidence in [0, 1], or None.

        learned: the adapter's target; its classes may differ from those of the current control.
        """


def region(control: Control, value: dict[str, Any]) -> Region:
    """A region of the control."""
    return {"from_name": control.name, "to_name": control.to_name, "type": control.type, "value": value}


def majority(values: Sequence[Any]) -> Any | None:
    """The most frequent value; None on a tie."""
    ranked = Counter(values).most_common(2)
    return None if len(ranked) == 2 and ranked[0][1] == ranked[1][1] else ranked[0][0]


def weighted_majority(votes: Sequence[tuple[str, float]]) -> str | None:
    """Of (value, weight) the value with most weight; None if another has nearly as much."""
    total: dict[str, float] = {}
    for value, weight in votes:
        total[value] = total.get(value, 0.0) + weight
    ranked = sorted(total.items(), key=lambda each: -each[1])[:2]
    return None if len(ranked) == 2 and ranked[0][1] <= _CLEARLY * ranked[1][1] else ranked[0][0]


def only(values: Sequence[Any]) -> Any | None:
    """The single value; None without one. Raises `UnusableError` if there are several."""
    if len(values) > 1:
        raise UnusableError(Reason.SEVERAL)
    return values[0] if values else None


def listed(value: Any) -> list[Any]:
    """A list of a result. Raises `UnusableError` if it is none."""
    if value is not None and not isinstance(value, list):
        raise UnusableError(Reason.UNREADABLE)
    return value or []


def labels(tag: Any) -> list[str]:
    """The names of a control's choices or labels in results: the alias where there is one.

    A choice inside another is shown only if the control allows nested ones.
    """
    found = [each for each in tag.iter("Choice", "Label") if next(each.iterancestors("Choice"), None) is None]
    return [name for each in found if (name := each.get("alias") or each.get("value"))]


def classes(tag: Any, names: Sequence[str], least: int) -> tuple[str, ...]:
    """The distinct class names of a control. Raises `UnsupportedConfigError` if there are fewer than `least`."""
    distinct = tuple(dict.fromkeys(names))
    if len(distinct) < least:
        raise UnsupportedConfigError(
            f"<{tag.tag} name='{tag.get('name')}'> needs at least {least} choices, not {len(distinct)}"
        )
    return distinct


def number(tag: Any, attribute: str) -> float | None:
    """A numeric attribute of a tag; None if it is missing. Raises `UnsupportedConfigError` if it is not a number."""
    text = tag.get(attribute)
    if text in (None, ""):
        return None
    try:
        found = float(text)
    except ValueError:
        found = float("nan")
    if not np.isfinite(found):
        raise UnsupportedConfigError(
            f"<{tag.tag} name='{tag.get('name')}'> has {attribute}='{text}', which is not a number"
        )
    return found

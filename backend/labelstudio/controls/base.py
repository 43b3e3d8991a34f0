"""The protocol of control kinds, and functions that they share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from backend.errors import UnsupportedConfigError
from backend.labelstudio.task_spec import Control
from backend.targets import Target

Region = dict[str, Any]  # an element of a `result`
Output = Mapping[str, NDArray[np.generic]]  # the learner's output for one text, by array name


class ControlKind(Protocol):
    """Reads a control, and converts annotated regions to values of its target, and outputs to regions."""

    def read(self, tag: Any) -> Control:
        """The control of an XML element. Raises `UnsupportedConfigError` with a message that names it."""

    def value(self, control: Control, regions: Sequence[Region]) -> Any | None:
        """The value of one annotation's regions of this control; None if it cannot be learned."""

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


def labels(tag: Any) -> list[str]:
    """The names of a control's choices or labels in results: the alias where there is one."""
    found = [each.get("alias") or each.get("value") for each in tag.iter("Choice", "Label")]
    return [name for name in found if name]


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

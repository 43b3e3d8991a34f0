"""What every kind of control can do, and what they share."""

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
Output = Mapping[str, NDArray[np.generic]]  # what the learner keeps of one text, by array


class ControlKind(Protocol):
    """Reads a control, and goes from regions of people to values of its target and from outputs to regions."""

    def read(self, tag: Any) -> Control:
        """The control of an XML element. Raises `UnsupportedConfigError` with a sentence that names it."""

    def value(self, control: Control, regions: Sequence[Region]) -> Any | None:
        """What one annotation's regions of this control say; None if nothing that can be learned."""

    def agreed(self, values: Sequence[Any]) -> Any | None:
        """What several annotators say together; None if they disagree. values: at least one."""

    def regions(self, control: Control, value: Any, text: str) -> list[Region]:
        """A value as Label Studio spells it: the inverse of `value`."""

    def predicted(
        self, control: Control, learned: Target, output: Output, text: str
    ) -> tuple[Any | None, float | None]:
        """The value to show of an output, with its confidence in [0, 1] if it has one; None for nothing to show.

        learned: the target as the adapter knows it; its classes may be others than the control offers today.
        """


def region(control: Control, value: dict[str, Any]) -> Region:
    """A region of the control."""
    return {"from_name": control.name, "to_name": control.to_name, "type": control.type, "value": value}


def majority(values: Sequence[Any]) -> Any | None:
    """The most frequent value; None on a tie."""
    ranked = Counter(values).most_common(2)
    return None if len(ranked) == 2 and ranked[0][1] == ranked[1][1] else ranked[0][0]


def labels(tag: Any) -> list[str]:
    """The names of a control's choices or labels as results spell them: by the alias where there is one."""
    found = [each.get("alias") or each.get("value") for each in tag.iter("Choice", "Label")]
    return [name for name in found if name]


def classes(tag: Any, names: Sequence[str], least: int) -> tuple[str, ...]:
    """The distinct class names of a control, of which there must be at least so many."""
    distinct = tuple(dict.fromkeys(names))
    if len(distinct) < least:
        raise UnsupportedConfigError(
            f"<{tag.tag} name='{tag.get('name')}'> needs at least {least} choices, not {len(distinct)}"
        )
    return distinct


def number(tag: Any, attribute: str) -> float | None:
    """A numeric attribute of a tag; None if it is not there."""
    text = tag.get(attribute)
    if text in (None, ""):
        return None
    try:
        found = float(text)
    except ValueError:
        found = float("nan")
    if not np.isfinite(found):
        raise UnsupportedConfigError(
            f"<{tag.tag} name='{tag.get('name')}'> has {attribute}='{text}', which is no number"
        )
    return found

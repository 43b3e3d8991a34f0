"""`<Pairwise>`: which of two texts is better."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backend.labelstudio.controls.base import Region, UnusableError, only, region
from backend.labelstudio.controls.choices import Single
from backend.labelstudio.label_config.task_spec import Control
from backend.labelstudio.unusable import Reason
from backend.targets import SIDES, Target


class Pairwise(Single):
    """A choice between left and right."""

    def read(self, tag: Any) -> Control:
        """The control.

        Label Studio's editor writes the control's own name as `to_name` of results, but its import refuses predictions
        that do so. Predictions name the first text, which both accept.
        """
        return Control(Target(str(tag.get("name")), "pairwise", SIDES), "", "pairwise")

    def value(self, control: Control, regions: Sequence[Region], text: str | None = None) -> str | None:
        """The side."""
        chosen: str | None = only([each["value"].get("selected") for each in regions])
        if chosen is not None and chosen not in SIDES:
            raise UnusableError(Reason.UNREADABLE)
        return chosen

    def regions(self, control: Control, value: str, text: str) -> list[Region]:
        """One region."""
        return [region(control, {"selected": value})]

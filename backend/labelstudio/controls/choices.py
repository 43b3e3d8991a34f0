"""`<Choices>` with one or several choices, and `<Taxonomy>`, whose leaves are the classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from backend.errors import UnsupportedConfigError
from backend.evaluation.calibration import tempered, two_sided
from backend.labelstudio.controls.base import Output, Region, classes, labels, majority, region
from backend.labelstudio.task_spec import Control
from backend.targets import Target

_SEPARATOR = " / "  # between the parts of a taxonomy's path, in the name of its class


class Single:
    """One choice per text, or one leaf of a taxonomy."""

    def read(self, tag: Any) -> Control:
        """The control; classes have the names used in results: the alias where a choice has one."""
        if tag.tag == "Taxonomy":
            paths = tuple(_leaves(tag))
            names = classes(tag, [_SEPARATOR.join(path) for path in paths], 2)
            return Control(Target(str(tag.get("name")), "classification", names), "", "taxonomy", paths=paths)
        names = classes(tag, labels(tag), 2)
        return Control(Target(str(tag.get("name")), "classification", names), "", "choices")

    def value(self, control: Control, regions: Sequence[Region]) -> str | None:
        """The class; None unless exactly one was chosen."""
        chosen = [name for each in regions for name in _chosen(control, each)]
        return chosen[0] if len(chosen) == 1 else None

    def agreed(self, values: Sequence[str]) -> str | None:
        """The most frequent class; None on a tie."""
        found: str | None = majority(values)
        return found

    def regions(self, control: Control, value: str, text: str) -> list[Region]:
        """One region."""
        if control.type == "taxonomy":
            path = next(path for path in control.paths if _SEPARATOR.join(path) == value)
            return [region(control, {"taxonomy": [list(path)]})]
        return [region(control, {"choices": [value]})]

    def predicted(self, control: Control, learned: Target, output: Output, text: str) -> tuple[str | None, float]:
        """The most likely class. Classes that the control no longer offers are left out, the others renormalized."""
        names = [name for name in learned.classes if name in control.target.classes]
        kept = output["probs"][[name in names for name in learned.classes]].astype(np.float64)
        if not kept.sum() > 0:
            return None, 0.0
        confidence = tempered(kept, learned.temperature)
        return names[int(kept.argmax())], float(confidence.max())


class Multiple:
    """Any number of choices per text."""

    def read(self, tag: Any) -> Control:
        """The control."""
        return Control(Target(str(tag.get("name")), "multilabel", classes(tag, labels(tag), 1)), "", "choices")

    def value(self, control: Control, regions: Sequence[Region]) -> list[str]:
        """The choices in the config's order, unknown ones last. No choice is a value, too: the empty list."""
        chosen = {name for each in regions for name in _chosen(control, each)}
        return [name for name in control.target.classes if name in chosen] + sorted(chosen - {*control.target.classes})

    def agreed(self, values: Sequence[list[str]]) -> list[str] | None:
        """The choices of more than half of the annotators; None if none has more than half and one has half."""
        votes = Counter(name for value in values for name in value)
        won = [name for name, count in votes.items() if 2 * count > len(values)]
        return won if won or all(2 * count < len(values) for count in votes.values()) else None

    def regions(self, control: Control, value: list[str], text: str) -> list[Region]:
        """One region; none without choices."""
        return [region(control, {"choices": list(value)})] if value else []

    def predicted(self, control: Control, learned: Target, output: Output, text: str) -> tuple[list[str] | None, float]:
        """Every class whose probability reaches the threshold; the confidence is the lowest of all classes."""
        known = dict(zip(learned.classes, map(float, output["probs"]), strict=True))
        offered = {name: known[name] for name in control.target.classes if name in known}
        if not offered:
            return [], 0.0
        probs = np.array([*offered.values()])
        there, absent = tempered(two_sided(probs), learned.temperature).T
        shown = probs >= learned.threshold
        confidence = float(np.where(shown, there, absent).min())
        return [name for name, p in offered.items() if p >= learned.threshold], confidence


def _chosen(control: Control, found: Region) -> list[str]:
    value = found.get("value") or {}
    if control.type == "choices":
        return [str(name) for name in value.get("choices") or []]
    return [_SEPARATOR.join(map(str, path)) for path in value.get("taxonomy") or []]


def _leaves(tag: Any) -> list[tuple[str, ...]]:
    """The path to each leaf, as in results."""

    def walk(element: Any, above: tuple[str, ...]) -> list[tuple[str, ...]]:
        inner = [child for child in element if child.tag == "Choice"]
        if not inner:
            return [above]
        return [path for child in inner for path in walk(child, (*above, child.get("alias") or child.get("value")))]

    found = walk(tag, ())
    if any(None in path for path in found):
        raise UnsupportedConfigError(f"<Taxonomy name='{tag.get('name')}'> has a Choice without a value")
    return [] if found == [()] else found

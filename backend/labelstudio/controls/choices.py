"""`<Choices>` with one or several choices, nested or not, and `<Taxonomy>`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from backend.evaluation.calibration import tempered, two_sided
from backend.labelstudio.controls import tree
from backend.labelstudio.controls.base import (
    Output,
    Region,
    UnusableError,
    classes,
    labels,
    listed,
    majority,
    number,
    only,
    region,
)
from backend.labelstudio.label_config.task_spec import Control
from backend.labelstudio.unusable import Reason
from backend.targets import Kind, Target


class Single:
    """One choice per text, or one path of a taxonomy."""

    def read(self, tag: Any) -> Control:
        """The control; classes have the names used in results: the alias where a choice has one."""
        return _read(tag, "classification", 2)

    def value(self, control: Control, regions: Sequence[Region], text: str | None = None) -> str | None:
        """The class; None if none was chosen."""
        found: str | None = only([name for each in regions for name in _chosen(control, each)])
        return found

    def agreed(self, values: Sequence[str]) -> str | None:
        """The most frequent class; None on a tie."""
        found: str | None = majority(values)
        return found

    def regions(self, control: Control, value: str, text: str) -> list[Region]:
        """One region."""
        return [region(control, {control.type: [_spelled(control, value)]})]

    def predicted(self, control: Control, learned: Target, output: Output, text: str) -> tuple[str | None, float]:
        """The most likely class. Classes that the control no longer offers are left out, the others renormalized."""
        names = [name for name in learned.classes if name in control.target.classes]
        kept = output["probs"][[name in names for name in learned.classes]].astype(np.float64)
        if not kept.sum() > 0:
            return None, 0.0
        confidence = tempered(kept, learned.temperature)
        return names[int(kept.argmax())], float(confidence.max())


class Multiple:
    """Any number of choices per text. In a taxonomy, those above a chosen one are chosen, too."""

    def read(self, tag: Any) -> Control:
        """The control."""
        return _read(tag, "multilabel", 1)

    def value(self, control: Control, regions: Sequence[Region], text: str | None = None) -> list[str]:
        """The choices in the config's order, unknown ones last. No choice is a value, too: the empty list."""
        chosen = control.target.with_ancestors([name for each in regions for name in _chosen(control, each)])
        return [name for name in control.target.classes if name in chosen] + sorted(chosen - {*control.target.classes})

    def agreed(self, values: Sequence[list[str]]) -> list[str] | None:
        """The choices of more than half of the annotators; None if none has more than half and one has half."""
        votes = Counter(name for value in values for name in value)
        won = [name for name, count in votes.items() if 2 * count > len(values)]
        return won if won or all(2 * count < len(values) for count in votes.values()) else None

    def regions(self, control: Control, value: list[str], text: str) -> list[Region]:
        """One region; none without choices. Of choices inside each other only the inner one."""
        names = tree.deepest(value, control.target)
        return [region(control, {control.type: [_spelled(control, name) for name in names]})] if names else []

    def predicted(self, control: Control, learned: Target, output: Output, text: str) -> tuple[list[str] | None, float]:
        """Every class whose probability reaches the threshold; the confidence is the lowest of all classes.

        Of more than the control allows, the most probable.
        """
        known = dict(zip(learned.classes, map(float, output["probs"]), strict=True))
        offered = {name: known[name] for name in control.target.classes if name in known}
        if not offered:
            return [], 0.0
        probs = np.array([*offered.values()])
        there, absent = tempered(two_sided(probs), learned.temperature).T
        shown = probs >= learned.threshold
        confidence = float(np.where(shown, there, absent).min())
        names = [name for name, p in offered.items() if p >= learned.threshold]
        if control.most is not None:
            names = sorted(tree.deepest(names, control.target), key=lambda name: -offered[name])[: control.most]
        every = control.target.with_ancestors(names)
        return [name for name in control.target.classes if name in every], confidence


def _read(tag: Any, kind: Kind, least: int) -> Control:
    """`least`: number of classes."""
    name, is_taxonomy = str(tag.get("name")), tag.tag == "Taxonomy"
    if not is_taxonomy and tag.get("allowNested") != "true":
        return Control(Target(name, kind, classes(tag, labels(tag), least)), "", "choices")
    paths = tree.nodes(tag)
    if not is_taxonomy or tag.get("leafsOnly") == "true":
        paths = tree.leaves(paths)
    target = Target(name, kind, classes(tag, tree.joined(paths), least), parents=tree.parents(paths))
    most = number(tag, "maxUsages") if is_taxonomy and kind == "multilabel" else None
    return Control(
        target, "", "taxonomy" if is_taxonomy else "choices", paths=tuple(paths),
        most=None if most is None else max(1, int(most)), separator=tag.get("pathSeparator") or " / ",
    )  # fmt: skip


def _chosen(control: Control, found: Region) -> list[str]:
    """The classes of a region. Nested choices include the choices around those that were chosen; these are left out."""
    chosen = listed(found["value"].get(control.type))
    if not control.paths:
        if any(not isinstance(each, str | int | float) for each in chosen):
            raise UnusableError(Reason.UNREADABLE)
        return [str(name) for name in chosen]
    paths = [tuple(map(str, each if isinstance(each, list) else [each])) for each in chosen]
    if control.type == "choices":
        paths = [path for path in paths if not any(len(other) > len(path) and other[: len(path)] == path
                                                   for other in paths)]  # fmt: skip
    joined = control.separator.join  # the editor splits paths at the separator, also inside of a choice's value
    names = {joined(path): name for path, name in zip(control.paths, control.target.classes, strict=True)}
    return [names.get(joined(path)) or " / ".join(path) for path in paths]


def _spelled(control: Control, name: str) -> Any:
    """A class as in results: nested ones by their path."""
    return list(control.paths[control.target.classes.index(name)]) if control.paths else name

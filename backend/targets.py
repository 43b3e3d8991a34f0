"""Learning targets and their values, as the Label Studio layer, the learners and the store exchange them.

A value of a target is plain JSON:

    classification   "Refund"                        one of the classes
    multilabel       ["Billing", "Refund"]           any of the classes, in class order; may be empty;
                                                     in a tree with all classes above them
    regression       3.5
    spans            [[0, 5, "Person"], …]           [start, end, class], end exclusive, sorted by start;
                                                     character offsets ignore the marks between text blocks
    pairwise         "left"                          "left" or "right": the better of the text's two answers
    generation       "Sure, here is …"               the written answer

A soft label is the answer of a model that may be wrong: {class: likelihood}, the probability of that answer if the
class is right, up to a factor. With several labels a text: for each the likelihood if present, divided by the sum of
those if present and if absent.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self, get_args

Kind = Literal["classification", "multilabel", "regression", "spans", "pairwise", "generation"]
KINDS: tuple[Kind, ...] = get_args(Kind)
SIDES = ("left", "right")  # the classes of a pairwise target
MARK = "\u2029"  # paragraph separator, between blocks of markup
PART = "\x1e"  # ASCII's record separator, which no part of a text contains
_PARTING = f"\n{PART}\n"  # separates the parts of a text
Values = Mapping[str, Any]  # by target name; unlabeled targets are absent


@dataclass(frozen=True, slots=True)
class Target:
    """One thing to learn, named after its labeling control."""

    name: str
    kind: Kind
    classes: tuple[str, ...] = ()
    low: float | None = None  # bounds of a regression value, if the control has any
    high: float | None = None
    step: float | None = None
    threshold: float = 0.5  # multilabel: least probability of a predicted label
    temperature: float = 1.0  # calibration: logits are divided by it before confidence is shown
    parents: tuple[int, ...] = ()  # classes in a tree: the index of each one's parent, which comes before it, or -1
    held_back: bool = False  # predictions are not shown to annotators yet: correcting them costs more than they save

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        found = {**asdict(self), "classes": list(self.classes), "parents": list(self.parents)}
        return {name: value for name, value in found.items() if name not in ("parents", "held_back") or value}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Restore a target from `as_json`."""
        return cls(**{**values, "classes": tuple(values["classes"]), "parents": tuple(values.get("parents", ()))})

    def offers(self, value: Any) -> bool:
        """Whether a value is valid for this target. Values of another kind or of removed classes are not."""
        if self.kind == "generation":
            return isinstance(value, str)
        if self.kind in ("classification", "pairwise"):
            return isinstance(value, str) and value in self.classes
        if self.kind == "regression":
            return isinstance(value, int | float)
        if not isinstance(value, list):
            return False
        names = value if self.kind == "multilabel" else [each[2] for each in value if len(each) == 3]
        return len(names) == len(value) and all(isinstance(n, str) and n in self.classes for n in names)

    def with_ancestors(self, names: Collection[str]) -> set[str]:
        """The classes, and all above them in a tree. names: not all need be among the classes."""
        found = set(names)
        for row in reversed(range(len(self.parents))):  # children before their parents
            if self.classes[row] in found and self.parents[row] >= 0:
                found.add(self.classes[self.parents[row]])
        return found

    @property
    def width(self) -> float | None:
        """Of the range of a number; None if it has none."""
        return None if self.low is None or self.high is None or self.high <= self.low else self.high - self.low

    @property
    def outcomes(self) -> int:
        """Number of distinct outcomes (5 without classes), used to decide how many labels are few."""
        return max(2, len(self.classes)) if self.classes else 5

    def learnable(self, values: Sequence[Any]) -> bool:
        """Whether these values differ, so that a model can be trained on them."""
        if self.kind == "spans":
            return len(values) > 1 and any(values)
        return len({str(value) for value in values}) > 1


def unmarked(text: str) -> str:
    """The text without block marks, as span offsets count it."""
    return text.replace(MARK, "")


def with_context(text: str, context: str) -> str:
    """Append to a text in which spans are marked what else is read. Offsets in the text stay as they are."""
    return text + _PARTING + context.replace(PART, " ") if context else text


def without_context(text: str) -> str:
    """The text in which spans are marked."""
    return text.partition(_PARTING)[0]


def with_sides(context: str, left: str, right: str) -> str:
    """Join a context and its two answers into one text."""
    return _PARTING.join(part.replace(PART, " ") for part in (context, left, right))


def sides(text: str) -> tuple[str, str, str]:
    """Split a text from `with_sides` into context, left and right. Any other text is a context without answers."""
    context, left, right = (*text.split(_PARTING), "", "")[:3]
    return context, left, right


def learnable(targets: Sequence[Target], examples: Sequence[Values]) -> tuple[Target, ...]:
    """The targets that can be trained on these examples, with their classes unchanged."""
    return tuple(t for t in targets if t.learnable([e[t.name] for e in examples if t.name in e]))


def offered(targets: Sequence[Target], values: Values) -> dict[str, Any]:
    """The values of a text that are still valid for the targets."""
    return {t.name: values[t.name] for t in targets if t.name in values and t.offers(values[t.name])}

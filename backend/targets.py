"""What is to be learned of a text. Label Studio's side, the learners and the store all speak of it in these words.

A value of a target is plain JSON:

    classification   "Refund"                        one of the classes
    multilabel       ["Billing", "Refund"]           some of the classes, in their order; perhaps none
    regression       3.5
    spans            [[0, 5, "Person"], …]           first character, the one after the last, class; by place;
                                                     counted without the marks that part blocks of the text
    pairwise         "left"                          the better of the two answers in the text, "left" or "right"
    generation       "Sure, here is …"               an answer, written
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self, get_args

Kind = Literal["classification", "multilabel", "regression", "spans", "pairwise", "generation"]
KINDS: tuple[Kind, ...] = get_args(Kind)
SIDES = ("left", "right")  # the classes of a pairwise target
MARK = "\u2029"  # the paragraph separator: between blocks of markup
_PARTING = "\n\x1e\n"  # of a text's parts, for which ASCII has its record separator
Values = Mapping[str, Any]  # by the target's name; a target that nobody gave a value is not there


@dataclass(frozen=True, slots=True)
class Target:
    """One thing to learn, named as the control that asks for it."""

    name: str
    kind: Kind
    classes: tuple[str, ...] = ()
    low: float | None = None  # of numbers, where the control bounds them
    high: float | None = None
    step: float | None = None
    threshold: float = 0.5  # of several labels: shown from this probability on
    temperature: float = 1.0  # by which the logits of probabilities are divided before they are shown as confidence

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "classes": list(self.classes)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """What `as_json` gave."""
        return cls(**{**values, "classes": tuple(values["classes"])})

    def offers(self, value: Any) -> bool:
        """Whether a value is one of this target: of a former kind, or of classes that are gone, it is not."""
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

    @property
    def outcomes(self) -> int:
        """How many different things it tells apart, for counting how many labels are few."""
        return max(2, len(self.classes)) if self.classes else 5

    def learnable(self, values: Sequence[Any]) -> bool:
        """Whether these values have anything to tell apart."""
        if self.kind == "spans":
            return len(values) > 1 and any(values)
        return len({str(value) for value in values}) > 1


def unmarked(text: str) -> str:
    """The text by whose characters spans are counted."""
    return text.replace(MARK, "")


def with_sides(context: str, left: str, right: str) -> str:
    """One text of two answers and what they answer."""
    return _PARTING.join(part.replace("\x1e", " ") for part in (context, left, right))


def sides(text: str) -> tuple[str, str, str]:
    """Context, left and right of a text that `with_sides` made; any other text is a context without answers."""
    context, left, right = (*text.split(_PARTING), "", "")[:3]
    return context, left, right


def learnable(targets: Sequence[Target], examples: Sequence[Values]) -> tuple[Target, ...]:
    """The targets that something can be learned of, each without classes changed."""
    return tuple(t for t in targets if t.learnable([e[t.name] for e in examples if t.name in e]))


def offered(targets: Sequence[Target], values: Values) -> dict[str, Any]:
    """The values of a text that the targets still offer."""
    return {t.name: values[t.name] for t in targets if t.name in values and t.offers(values[t.name])}

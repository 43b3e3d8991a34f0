"""What a label config asks to learn: controls, and the texts that they label."""

from __future__ import annotations

from dataclasses import dataclass

from backend.targets import Target


@dataclass(frozen=True, slots=True)
class Condition:
    """A control that is shown only where another one has one of these choices."""

    name: str  # of the other control
    choices: frozenset[str]  # empty: any choice will do
    shown: bool  # false: shown where it has none of them


@dataclass(frozen=True, slots=True)
class Control:
    """A tag that people label with."""

    target: Target
    to_name: str  # as results spell it
    type: str  # of its regions, as results spell it: choices, taxonomy, rating, number, labels, pairwise, textarea
    labels: tuple[str, ...] = ()  # the names of the inputs that it is about
    in_markup: bool = False  # the places of its regions are those of HTML
    paths: tuple[tuple[str, ...], ...] = ()  # taxonomy: the way to each class
    conditions: tuple[Condition, ...] = ()  # all must hold for it to be shown

    @property
    def name(self) -> str:
        """As `from_name` spells it."""
        return self.target.name


@dataclass(frozen=True, slots=True)
class Input:
    """A tag that shows a text."""

    name: str
    tag: str  # Text, HyperText, Paragraphs
    key: str  # the field of a task's data
    author_key: str = "author"  # of Paragraphs
    text_key: str = "text"


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """The controls to learn, and the texts to read, in the order of the label config."""

    controls: tuple[Control, ...]
    inputs: tuple[Input, ...]

    @property
    def targets(self) -> tuple[Target, ...]:
        """What the learner is to learn."""
        return tuple(control.target for control in self.controls)

    @property
    def sides(self) -> tuple[str, ...]:
        """The names of the two inputs that are compared, if any are."""
        return next((control.labels for control in self.controls if control.target.kind == "pairwise"), ())

"""What is learned from a label config: controls, and the texts that they label."""

from __future__ import annotations

from dataclasses import dataclass

from backend.targets import Target


@dataclass(frozen=True, slots=True)
class Condition:
    """A control is shown only if another control has, or has not, one of these choices."""

    name: str | None  # of the other control; None: any `<Choices>`
    choices: frozenset[str]  # empty: any choice
    shown: bool  # False: shown if the other control has none of them


@dataclass(frozen=True, slots=True)
class Control:
    """A tag that takes annotations."""

    target: Target
    to_name: str  # as in results
    type: str  # of its regions in results: choices, taxonomy, rating, number, labels, pairwise, textarea
    labels: tuple[str, ...] = ()  # names of the inputs that it labels
    in_markup: bool = False  # its regions have offsets in HTML
    in_dialogue: bool = False  # its regions have offsets in the turns of a dialogue
    paths: tuple[tuple[str, ...], ...] = ()  # taxonomy and nested choices: the path to each class
    separator: str = " / "  # of the parts of a path where the editor joins them
    most: int | None = None  # choices that it allows at a time
    class_texts: tuple[str, ...] = ()  # of each class in words; "" for a class without
    conditions: tuple[Condition, ...] = ()  # it is shown if all are met
    per_region: bool = False  # a choice for each marked span
    labels_asked: frozenset[str] = frozenset()  # per region: the labels of the spans that it is shown for; empty: all

    @property
    def name(self) -> str:
        """`from_name` in results."""
        return self.target.name


@dataclass(frozen=True, slots=True)
class Input:
    """A tag that shows a text."""

    name: str
    tag: str  # Text, HyperText, Paragraphs
    value: str  # as in the label config: $field, $a.path[0], or a template
    encoding: str = ""  # base64 or base64unicode
    author_key: str = "author"  # of Paragraphs
    text_key: str = "text"
    repeated_on: str = ""  # the list, as in `value`, for each of whose elements the text is shown
    is_marked: bool = False  # spans are marked in it
    index_flag: str = ""  # what stands for the element's number in `value`


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """The controls to learn, and the texts to read, in the order of the label config."""

    controls: tuple[Control, ...]
    inputs: tuple[Input, ...]
    left_out: tuple[str, ...] = ()  # a sentence for each control that is not learned beside the others

    @property
    def targets(self) -> tuple[Target, ...]:
        """The targets of the learner, one per control."""
        return tuple(control.target for control in self.controls)

    @property
    def sides(self) -> tuple[str, ...]:
        """Names of the two inputs that `<Pairwise>` compares; empty without it."""
        return next((control.labels for control in self.controls if control.target.kind == "pairwise"), ())

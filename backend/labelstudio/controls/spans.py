"""`<Labels>` and `<HyperTextLabels>` on a text, `<ParagraphLabels>` on a dialogue: spans of characters.

`start` and `end` are offsets in the task's string. Label Studio counts code points, as Python does, and a carriage
return with a line feed as two (its editor's selection-tools.js and domManager.ts).

In HTML, `start` and `end` are XPaths, and `globalOffsets` holds the offsets in its text. Only `globalOffsets` are read
and written. The editor uses them where it cannot resolve the XPaths, and submits both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from itertools import pairwise
from typing import Any

from backend.labelstudio.controls import dialogue
from backend.labelstudio.controls.base import Output, Region, UnusableError, classes, labels, listed, region
from backend.labelstudio.label_config.task_spec import Control
from backend.labelstudio.unusable import Reason
from backend.targets import Target, unmarked, without_context

_LONGEST = 2**31  # no text has as many characters
_NOWHERE = "/see-globalOffsets"  # an XPath that matches nothing

Span = list[Any]  # start, end (exclusive), class


class Spans:
    """Spans that do not overlap, each of one class."""

    def read(self, tag: Any) -> Control:
        """The control."""
        return Control(Target(str(tag.get("name")), "spans", classes(tag, labels(tag), 1)), "", tag.tag.lower())

    def value(self, control: Control, regions: Sequence[Region], text: str | None = None) -> list[Span] | None:
        """The spans in order of `start`, perhaps none."""
        spans: list[Span] = []
        for each in regions:
            value = each["value"]
            start, end = _in_dialogue(value, text) if control.in_dialogue else _in_text(value, control)
            if text is not None and end > len(unmarked(without_context(text))):
                raise UnusableError(Reason.OUTSIDE)
            names = listed(value.get(control.type))
            if len(names) != 1:
                raise UnusableError(Reason.SEVERAL_LABELS)
            if start < end:
                spans.append([start, end, str(names[0])])
        spans.sort()
        if any(a[1] > b[0] for a, b in pairwise(spans)):
            raise UnusableError(Reason.OVERLAP)
        return spans

    def agreed(self, values: Sequence[list[Span]]) -> list[Span] | None:
        """The exact spans of more than half of the annotators; None if none has more than half and one has half."""
        votes = Counter(tuple(span) for value in values for span in value)
        won = sorted(list(span) for span, count in votes.items() if 2 * count > len(values))
        return won if won or all(2 * count < len(values) for count in votes.values()) else None

    def regions(self, control: Control, value: list[Span], text: str) -> list[Region]:
        """One region per span, with an id derived from its offsets and class: results with spans need unique ids."""
        text = without_context(text)
        found, plain = [], unmarked(text)
        for start, end, name in value:
            places: dict[str, Any] | None = {"start": start, "end": end}
            if control.in_dialogue:
                places = dialogue.place(start, end, text)
            elif control.in_markup:
                places = {"start": _NOWHERE, "end": _NOWHERE, "startOffset": 0, "endOffset": 0, "globalOffsets": places}
            if places is None:
                continue
            made = region(control, {**places, "text": plain[start:end], control.type: [name]})
            key = f"{control.name}:{start}:{end}:{name}".encode("utf-8", "surrogatepass")
            found.append({"id": blake2b(key, digest_size=5).hexdigest(), **made})
        return found

    def predicted(self, control: Control, learned: Target, output: Output, text: str) -> tuple[list[Span], float]:
        """The spans of classes that the control offers, and the lowest of their probabilities."""
        offered = set(control.target.classes)
        found, confidence, length = [], 1.0, len(unmarked(without_context(text)))
        for (start, end, row), probability in zip(output["spans"].tolist(), output["span_probs"].tolist(), strict=True):
            if start < end <= length and learned.classes[row] in offered:
                found.append([start, end, learned.classes[row]])
                confidence = min(confidence, probability)
        return found, confidence


def _in_text(value: Mapping[str, Any], control: Control) -> tuple[int, int]:
    places = value.get("globalOffsets") if control.in_markup else value
    if not isinstance(places, Mapping):
        raise UnusableError(Reason.NO_OFFSETS)
    return _offset(places.get("start")), _offset(places.get("end"))


def _in_dialogue(value: Mapping[str, Any], text: str | None) -> tuple[int, int]:
    if text is None:
        raise UnusableError(Reason.NO_OFFSETS)
    try:
        return dialogue.offsets(value, without_context(text))
    except (IndexError, ValueError):
        raise UnusableError(Reason.OUTSIDE) from None


def _offset(value: Any) -> int:
    """A character offset, which may be written as `4.0`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        raise UnusableError(Reason.UNREADABLE)
    if not 0 <= value < _LONGEST:
        raise UnusableError(Reason.OUTSIDE)
    return int(value)

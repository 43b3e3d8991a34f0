"""`<Choices perRegion="true">` beside `<Labels>`: a choice for each marked span.

Learned as spans of their own, whose class is the choice, so that the choice is read in its context. In results the
regions of a span share an id, and each repeats its offsets (serialize in the editor's regions/Result.js).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from backend.labelstudio.controls.base import Region, region
from backend.labelstudio.label_config.task_spec import Control


class Mark(NamedTuple):
    """A span, and its region of the control that marks spans."""

    start: int
    end: int
    label: str
    region: Region


def labels_asked(tag: Any, elements: Mapping[str, Any]) -> frozenset[str]:
    """The labels of spans that the control is shown for, as in results; empty: all. elements: by name."""
    named = {
        (name, each.get("alias") or each.get("value"))
        for element in elements.values() for each in element.iter("Label")
        for name in (each.get("alias"), each.get("value")) if name
    }  # fmt: skip
    asked = {
        part.strip() for each in (tag, *tag.iterancestors()) for part in (each.get("whenLabelValue") or "").split(",")
    }
    return frozenset(in_results for name, in_results in named if name in asked) | (asked - {""})


def of_spans(regions: Sequence[Region], control: Control) -> list[Region]:
    """The control's regions, with the offsets of the span that they belong to where a result does not repeat them."""
    places = {each.get("id"): each["value"] for each in regions
              if isinstance(each.get("value"), dict) and str(each.get("type")).endswith("labels")}  # fmt: skip
    return [
        {**each, "value": {**places.get(each.get("id"), {}), **each["value"]}}
        if each.get("type") == control.type and isinstance(each.get("value"), dict) else each
        for each in regions
    ]  # fmt: skip


def attached(control: Control, spans: Iterable[Sequence[Any]], marks: Iterable[Mark]) -> list[Region]:
    """A region for each mark that one of the spans overlaps, with the choice of the one that overlaps it most."""
    found = []
    spans = list(spans)
    for mark in marks:
        if control.labels_asked and mark.label not in control.labels_asked:
            continue
        shared, choice = max(
            ((min(mark.end, end) - max(mark.start, start), name) for start, end, name in spans), default=(0, "")
        )
        if shared > 0:
            places = {name: value for name, value in mark.region["value"].items() if name != mark.region["type"]}
            made = region(control, {**places, control.type: [choice]})
            found.append({"id": mark.region["id"], **made})
    return found

"""Conditions for showing a control, by the choices in other controls (the editor's mixins/Visibility.js)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from backend.labelstudio.label_config.task_spec import Condition


def conditions(tag: Any, elements: Mapping[str, Any]) -> tuple[Condition, ...]:
    """The conditions of a control and of all elements around it. elements: those of the label config, by name."""
    return tuple(_conditions((tag, *tag.iterancestors()), elements))


def met(condition: Condition, regions: Sequence[Mapping[str, Any]]) -> bool:
    """Whether an annotation's regions meet a condition."""
    chosen = {
        name
        for each in regions
        if each.get("from_name") == condition.name or (condition.name is None and each.get("type") == "choices")
        for name in _names(each.get("value"))
    }
    has = bool(chosen & condition.choices) if condition.choices else bool(chosen)
    return has == condition.shown


def _conditions(tags: Collection[Any], elements: Mapping[str, Any]) -> Iterator[Condition]:
    for each in tags:
        when, name, value = (each.get(key) or None for key in ("visibleWhen", "whenTagName", "whenChoiceValue"))
        if when in ("choice-selected", "choice-unselected"):
            wanted = value.split(",") if value and name else []
            choices = frozenset(_in_results(one, elements.get(name or "")) for one in wanted)
            yield Condition(name, choices, shown=when == "choice-selected")
        elif when is None and value:  # the name of a tag has no effect then
            yield Condition(None, frozenset({value}), shown=True)


def _in_results(choice: str, control: Any) -> str:
    """A choice's name in results: its alias. choice: its alias or value."""
    for each in control.iter("Choice") if control is not None else ():
        if choice in (each.get("alias"), each.get("value")):
            return str(each.get("alias") or each.get("value"))
    return choice


def _names(value: Any) -> Iterator[str]:
    """The choices of a region; of nested ones and of a taxonomy's paths the last part."""
    for kind in ("choices", "taxonomy"):
        chosen = value.get(kind) if isinstance(value, Mapping) else None
        for each in chosen if isinstance(chosen, list) else ():
            yield str(each[-1]) if isinstance(each, list) and each else str(each)

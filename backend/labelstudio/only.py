"""The option `only`: which tasks are queued, by fields of their data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def inside(data: Any, only: Mapping[str, Any]) -> bool:
    """Whether each field has the wanted value, or one of several. A list in the data matches by any of its values.

    Values are compared as text, since a file of comma-separated values has no others. A field that is missing does not
    match.
    """
    if not isinstance(data, Mapping):
        return not only
    return all(name in data and _texts(wanted) & _texts(data[name]) for name, wanted in only.items())


def _texts(value: Any) -> set[str]:
    values = value if isinstance(value, list) else [value]
    return {_text(each) for each in values}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)

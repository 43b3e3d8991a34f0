"""The attribute `value` of a tag and the data of a task → the text that Label Studio's editor shows.

`$title` names a field, `$meta.text` and `$items[0].text` a path, `Title: $title` is a template. The rules are those of
the editor (parseValue in its utils/data.js, and es-toolkit's `get`).
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

_VARIABLE = re.compile(r"\$[A-Za-z0-9_[\].{}]+")
_PART = re.compile(r"\[([^\]]*)\]|([^.\[]+)")
_MISSING = object()
_ENCODINGS = {"base64": "latin-1", "base64unicode": "utf-8"}


def names(template: str) -> list[str]:
    """The fields and paths that a template names, without `$`."""
    return [template[1:]] if _is_name(template) else [each[1:] for each in _VARIABLE.findall(template)]


def value_of(template: str, data: object) -> Any:
    """The value of `$name`, or the text of a template with its fields filled in; None if the task has none of them."""
    found = [_get(data, name) for name in names(template)]
    if all(each is _MISSING or each is None for each in found):
        return None
    if _is_name(template):
        return found[0]
    values = iter(found)
    return _VARIABLE.sub(lambda _: "undefined" if (value := next(values)) is _MISSING else as_text(value), template)


def as_text(value: Any) -> str:
    """A JSON value as JavaScript's `String` writes it, as the editor shows it."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return ",".join("" if each is None else as_text(each) for each in value)
    if isinstance(value, dict):
        return "[object Object]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return _number(value)


def decoded(text: str, encoding: str) -> str:
    """The text behind `encoding="base64"` or "base64unicode"; unchanged if it is not encoded so."""
    try:
        return base64.b64decode("".join(text.split()), validate=True).decode(_ENCODINGS[encoding])
    except (KeyError, binascii.Error, ValueError):
        return text


def _is_name(template: str) -> bool:
    """Whether the whole template is one name. A name in other letters than ASCII cannot be part of a template."""
    matched = _VARIABLE.match(template)
    return template.startswith("$") and len(template) > 1 and (matched is None or matched.group() == template)


def _get(data: object, name: str) -> Any:
    """A field of this very name, else what the path leads to."""
    if isinstance(data, dict) and name in data:
        return data[name]
    for part in _path(name):
        if isinstance(data, dict):
            data = data.get(part, _MISSING)
        elif isinstance(data, list) and part.isdecimal() and int(part) < len(data):
            data = data[int(part)]
        else:
            return _MISSING
    return data


def _path(name: str) -> Iterator[str]:
    """The parts of `a.b[0]`."""
    for in_brackets, plain in _PART.findall(name):
        yield in_brackets or plain


def _number(number: float) -> str:
    """As JavaScript. Label Studio's editor keeps whole numbers of any size exact."""
    if isinstance(number, int):
        return str(number)
    if not math.isfinite(number):
        return "NaN" if math.isnan(number) else f"{'-' if number < 0 else ''}Infinity"
    if number == 0 or 1e-6 <= abs(number) < 1e21:
        return np.format_float_positional(abs(number) if number == 0 else number, trim="-")
    digits, _, exponent = repr(number).partition("e")
    return f"{digits.removesuffix('.0')}e{int(exponent):+d}"

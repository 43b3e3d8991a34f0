"""Sentences about options that are wrong."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsError as UnreadableError


def field_of(error: UnreadableError) -> str:
    """Name of the field whose environment variable is not JSON."""
    return str(error).split('"')[1]


def not_json(variable: str) -> str:
    """Message about a variable that is not JSON; without its value, which may be a secret."""
    return f"{variable}: expected JSON, such as {{}}"


def sentence(error: ValidationError, known: Iterable[str]) -> str:
    """One sentence about the first mistake. known: the names of all options."""
    first = error.errors(include_url=False, include_context=False)[0]
    name = ".".join(str(part) for part in first["loc"] if not _TYPE.match(str(part)))
    if first["type"] == "extra_forbidden":
        return f"extra_params.{name} is unknown; choose from {', '.join(sorted(known))}"
    if not name:  # the message of `_strategies_exist` names the option
        return f"extra_params: {message(first)}"
    return f"extra_params.{name}: {message(first)}, not {first['input']!r}"


_TYPE = re.compile(r"(constrained-)?(float|int|str)$|\w+\[")  # what pydantic adds for an option of several types


def message(error: ErrorDetails) -> str:
    """Message of pydantic about a value."""
    return error["msg"].removeprefix("Value error, ")

"""Result of a check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. The exit code is 1 if there is a `problem`, otherwise 0."""

    check: str
    status: Literal["ok", "fixed", "warning", "problem"]
    found: str
    remedy: str = ""
    project: int | None = None

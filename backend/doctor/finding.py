"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's report. Only a `problem` makes the exit code 1."""

    check: str
    status: Literal["ok", "fixed", "warning", "problem"]
    found: str
    remedy: str = ""
    project: int | None = None

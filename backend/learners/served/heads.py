"""Which head reads a served model's answers for a target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backend.learners.kinds import head_of as head_of_kind
from backend.learners.kinds.base import TargetHead
from backend.learners.served.quoted_spans import QuotedSpansHead
from backend.learners.served.written_answers import WrittenAnswersHead
from backend.targets import Target


def head_of(target: Target, dimensions: int, state: Mapping[str, Any] | None = None) -> TargetHead:
    """As `kinds.head_of`, for a served model."""
    if target.kind == "spans":
        return QuotedSpansHead(target, dimensions, state or {})
    if target.kind == "generation":
        return WrittenAnswersHead(target, dimensions, state or {})
    return head_of_kind(target, dimensions, state)

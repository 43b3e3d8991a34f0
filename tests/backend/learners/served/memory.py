"""Answers kept in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from backend.learners.served.model import Kept


class Memory:
    """Keeps what is computed of texts, as the backend does on disk."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}

    def __call__(self, key: str) -> Kept:
        return _Kept(self.rows.setdefault(key, {}))


class _Kept:
    def __init__(self, rows: dict[str, Any]) -> None:
        self.rows = rows

    def found(self, texts: Sequence[str]) -> tuple[Any, Any]:
        there = np.array([text in self.rows for text in texts], np.bool_)
        return there, np.array([self.rows[text] for text in texts if text in self.rows])

    def add(self, texts: Sequence[str], rows: Any) -> None:
        self.rows |= dict(zip(texts, rows, strict=True))

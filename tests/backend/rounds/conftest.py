"""What steps of a round need, without a Label Studio."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from backend.learners.base_model import BaseModels
from backend.rounds.context import Context
from backend.store import Store


@contextlib.contextmanager
def no_bar(title: str) -> Any:
    yield lambda done, total: None


@pytest.fixture
def context(store: Store) -> Context:
    return Context(store, None, BaseModels(), no_bar)  # type: ignore[arg-type]

"""What steps of a round need, without a Label Studio."""

from __future__ import annotations

import pytest

from backend.learners.models.cache import BaseModels
from backend.rounds.context import Context
from backend.store import Store
from tests.backend.played import no_bar


@pytest.fixture
def context(store: Store) -> Context:
    return Context(store=store, client=None, models=BaseModels(), bar=no_bar)  # type: ignore[arg-type]

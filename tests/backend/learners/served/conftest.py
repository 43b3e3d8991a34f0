"""A language model behind a server, for whoever wants one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.learners.models.base_model import BaseModel
from backend.learners.served.model import ServedModel
from tests.language_model import MODEL, LanguageModel, language_model


@pytest.fixture
def toy() -> Iterator[LanguageModel]:
    with language_model() as model:
        yield model


@pytest.fixture(scope="session")
def embedder(tiny_encoder: Path) -> BaseModel:
    return BaseModel(str(tiny_encoder), device="cpu")


@pytest.fixture
def served(toy: LanguageModel, embedder: BaseModel) -> ServedModel:
    return ServedModel(f"openai:{MODEL}", toy.server(), lambda: embedder)

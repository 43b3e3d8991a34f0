"""A language model behind a server, for whoever wants one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from backend.learners.models import BaseModels
from backend.learners.served.model import ServedModel
from tests.language_model import MODEL, LanguageModel, language_model


@pytest.fixture
def toy() -> Iterator[LanguageModel]:
    with language_model() as model:
        yield model


@pytest.fixture
def served(toy: LanguageModel) -> ServedModel:
    return BaseModels(server=toy.server()).served(f"openai:{MODEL}")

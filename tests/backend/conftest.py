"""An adapter that is trained for real, for whoever serves one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from backend.learners.base import TrainingOptions
from backend.learners.models.cache import BaseModels
from backend.learners.training.train import train
from backend.store import Store
from backend.store.sql.models import Adapter
from tests.conftest import CLASSES, TOPIC, labeled_sentences, topics

DATA = labeled_sentences(30)


@pytest.fixture(scope="session")
def trained(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """The files of an adapter for each shift of the classes, trained once in a run."""
    models = BaseModels()
    options = TrainingOptions(min_steps=150, epochs=1, learning_rate=5e-3, max_length=32, lora_layers="all")

    @cache
    def files(shift: int) -> Path:
        labels = [CLASSES[(CLASSES.index(c) + shift) % 3] for _, c in DATA]
        folder = tmp_path_factory.mktemp("adapter")
        train(models.get(str(tiny_encoder)), [t for t, _ in DATA], topics(labels), [TOPIC], options, folder)
        return folder

    return files


@pytest.fixture
def adapter(store: Store, tiny_encoder: Path, trained: Callable[[int], Path]) -> Callable[..., None]:
    """Puts adapter versions of project 7 into service; `shift` turns the classes, so that versions differ."""

    def make(number: int, shift: int = 0) -> None:
        store.files.adapters(7).write(
            number, lambda folder: shutil.copytree(trained(shift), folder, dirs_exist_ok=True)
        )
        store.of(7).rounds.put_adapter(
            Adapter(
                project_id=7, number=number, base_model=str(tiny_encoder), fingerprint="x", targets=[TOPIC.as_json()],
                examples=30, created_at=0.0,
            )
        )  # fmt: skip
        store.projects.set(7, adapter=number)

    return make

"""An adapter that is trained for real, for whoever serves one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from backend.learners.base import TrainingOptions
from backend.learners.models import BaseModels
from backend.learners.training import train
from backend.store import Store
from backend.store.models import Adapter
from tests.conftest import CLASSES, TOPIC, labeled_sentences, topics

DATA = labeled_sentences(30)


@pytest.fixture
def adapter(store: Store, tiny_encoder: Path) -> Callable[..., None]:
    """Trains adapter versions of project 7; `shift` turns the classes, so that versions differ."""
    models = BaseModels()

    def make(number: int, shift: int = 0) -> None:
        labels = [CLASSES[(CLASSES.index(c) + shift) % 3] for _, c in DATA]
        options = TrainingOptions(min_steps=150, epochs=1, learning_rate=5e-3, max_length=32)
        base = models.get(str(tiny_encoder))
        texts = [t for t, _ in DATA]
        store.files.adapters(7).write(
            number,
            lambda folder: train(base, texts, topics(labels), [TOPIC], options, folder),
        )
        store.of(7).rounds.put_adapter(
            Adapter(
                project_id=7, number=number, base_model=str(tiny_encoder), fingerprint="x", targets=[TOPIC.as_json()],
                examples=30, created_at=0.0,
            )
        )  # fmt: skip
        store.projects.set(7, adapter=number)

    return make

"""The pulse of the workers, for whoever asks whether one lives."""

from __future__ import annotations

import time

from sqlalchemy import select

from backend.store.database import Database
from backend.store.models import Worker


class Workers:
    """The worker processes that have ever run here."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def beat(self, executor_id: str, label_studio: str | None) -> None:
        """Note that a worker lives, and what it finds wrong with Label Studio."""
        with self._database.write() as session:
            session.merge(Worker(executor_id=executor_id, beat_at=time.time(), label_studio=label_studio))

    def newest(self) -> Worker | None:
        """The one that was heard of last; None if there never was any."""
        with self._database.read() as session:
            return session.scalars(select(Worker).order_by(Worker.beat_at.desc()).limit(1)).first()

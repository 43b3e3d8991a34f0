"""The pulse of the workers, for whoever asks whether one lives."""

from __future__ import annotations

from socket import gethostname

from sqlalchemy import select, update

from backend.store.database import Database
from backend.store.models import Worker

SILENT = 60.0  # seconds without a sign of life after which a worker counts as gone


class Workers:
    """The worker processes that have ever run here."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def beat(self, executor_id: str, label_studio: str | None) -> None:
        """Note that a worker of this host lives, and what it finds wrong with Label Studio."""
        with self._database.write() as session:
            now = self._database.now(session)
            session.merge(Worker(executor_id=executor_id, host=gethostname(), beat_at=now, label_studio=label_studio))

    def leave(self, executor_id: str) -> None:
        """Note that a worker has stopped: nobody waits for a sign of it, and what it began is taken over at once."""
        with self._database.write() as session:
            session.execute(
                update(Worker).where(Worker.executor_id == executor_id).values(beat_at=Worker.beat_at - SILENT)
            )

    def newest(self) -> tuple[Worker, float] | None:
        """The one that was heard of last, and how many seconds ago; None if there never was any."""
        with self._database.read() as session:
            found = session.scalars(select(Worker).order_by(Worker.beat_at.desc()).limit(1)).first()
            return None if found is None else (found, self._database.now(session) - found.beat_at)

    def alive(self, within: float) -> dict[str, str]:
        """The workers heard of in the last so many seconds: their hosts, by executor."""
        with self._database.read() as session:
            since = self._database.now(session) - within
            return {each.executor_id: each.host for each in session.scalars(select(Worker)) if each.beat_at > since}

"""Heartbeats of the workers."""

from __future__ import annotations

from socket import gethostname

from sqlalchemy import select, update

from backend.store.sql.database import Database
from backend.store.sql.models import Worker

SILENT = 60.0  # seconds without a heartbeat after which a worker counts as dead


class Workers:
    """All worker processes that have ever run on this database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def beat(self, executor_id: str, label_studio: str | None) -> None:
        """Record a heartbeat of a worker on this host, and its problem with Label Studio, if any."""
        with self._database.write() as session:
            now = self._database.now(session)
            session.merge(Worker(executor_id=executor_id, host=gethostname(), beat_at=now, label_studio=label_studio))

    def leave(self, executor_id: str) -> None:
        """Expire the heartbeat of a worker that stops, so that others take over its workflows at once."""
        with self._database.write() as session:
            session.execute(
                update(Worker).where(Worker.executor_id == executor_id).values(beat_at=Worker.beat_at - SILENT)
            )

    def newest(self) -> tuple[Worker, float] | None:
        """The worker with the latest heartbeat, and its age in seconds; None if there never was a worker."""
        with self._database.read() as session:
            found = session.scalars(select(Worker).order_by(Worker.beat_at.desc()).limit(1)).first()
            return None if found is None else (found, self._database.now(session) - found.beat_at)

    def alive(self, within: float) -> dict[str, str]:
        """Workers with a heartbeat in the last `within` seconds: host by executor id."""
        with self._database.read() as session:
            since = self._database.now(session) - within
            return {each.executor_id: each.host for each in session.scalars(select(Worker)) if each.beat_at > since}

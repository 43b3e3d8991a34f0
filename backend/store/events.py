"""Received webhook events; a round reads and deletes those it has processed."""

from __future__ import annotations

import time
from collections.abc import Collection

from sqlalchemy import delete, exists, func, insert, literal, select

from backend.store.sql.database import Database
from backend.store.sql.models import MOST_ID, Event, Project


class Events:
    """The events not yet processed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, project_id: int, action: str) -> None:
        """Insert an event. Committed on return."""
        with self._database.write(project_id) as session:
            session.execute(insert(Event).values(project_id=project_id, action=action[:64], received_at=time.time()))

    def note(self, project_id: int, action: str) -> bool:
        """Insert an event of Label Studio. Committed on return. False if the project is not connected.

        One statement: hundreds of events may arrive in a second.
        """
        if project_id > MOST_ID:
            return False
        values = (literal(project_id), literal(action[:64]), literal(time.time()))
        event = select(*values).where(exists().where(Project.id == project_id, Project.connected))
        with self._database.write(project_id) as session:
            done = insert(Event).from_select(["project_id", "action", "received_at"], event).returning(Event.id)
            return session.scalar(done) is not None

    def newest(self) -> dict[int, int]:
        """The highest event id of each project that has events."""
        with self._database.read() as session:
            rows = session.execute(select(Event.project_id, func.max(Event.id)).group_by(Event.project_id))
            return {project: newest_id for project, newest_id in rows}  # noqa: C416 (rows are not typed as pairs)

    def after(self, project_id: int, mark: int) -> tuple[int, set[str]]:
        """The highest event id, at least `mark`, and the actions of the events after `mark`."""
        with self._database.read() as session:
            rows = session.execute(
                select(Event.action, func.max(Event.id))
                .where(Event.project_id == project_id, Event.id > mark)
                .group_by(Event.action)
            ).all()
        return max([mark, *(newest for _, newest in rows)]), {action for action, _ in rows}

    def alone(self, project_id: int, action: str, others: Collection[str], seconds: float) -> bool:
        """Whether an event of this kind arrived that none of the others followed within so many seconds."""
        query = select(Event.action, Event.received_at).where(Event.project_id == project_id)
        with self._database.read() as session:
            rows = session.execute(query.where(Event.action.in_([action, *others]))).all()
        near = [at for kind, at in rows if kind != action]
        return any(not any(0 <= other - at <= seconds for other in near) for kind, at in rows if kind == action)

    def withdraw(self, project_id: int, actions: Collection[str]) -> None:
        """Delete a project's events of these kinds."""
        with self._database.write(project_id) as session:
            session.execute(delete(Event).where(Event.project_id == project_id, Event.action.in_(actions)))

    def forget(self, project_id: int, mark: int) -> None:
        """Delete a project's events up to `mark`."""
        with self._database.write(project_id) as session:
            session.execute(delete(Event).where(Event.project_id == project_id, Event.id <= mark))

    def oldest_age(self) -> float:
        """Age in seconds of the oldest event of a connected project; 0 if there is none."""
        query = select(func.min(Event.received_at)).join(Project, Project.id == Event.project_id)
        with self._database.read() as session:
            arrived = session.scalar(query.where(Project.connected))
        return 0.0 if arrived is None else max(0.0, time.time() - arrived)

    def count(self) -> int:
        """Number of events not yet processed."""
        with self._database.read() as session:
            return session.scalar(select(func.count()).select_from(Event)) or 0

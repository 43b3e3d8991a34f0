"""Projects: who is connected, with which options, and how far their rounds have come."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select, update

from backend.store.database import Database, Fence
from backend.store.models import Project, PublishedQueue

_MOST = 2**31 - 1  # Label Studio's numbers of projects have 32 bits, and so have our columns
_READ_BY = ("ignore_controls", "ground_truth")  # options that decide what is read of a task


class Projects:
    """The connected projects."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, project_id: int) -> Project | None:
        """The project, detached; None if it never connected."""
        if project_id > _MOST:
            return None
        with self._database.read() as session:
            return session.get(Project, project_id)

    def all(self, *, connected: bool = True) -> list[Project]:
        """Projects in the order of their ids; only the connected ones unless told otherwise."""
        query = select(Project).order_by(Project.id)
        if connected:
            query = query.where(Project.connected)
        with self._database.read() as session:
            return list(session.scalars(query))

    def connect(self, project_id: int, *, label_config: str, options: dict[str, Any], host: str) -> bool:
        """Remember what `/setup` brought. True if anything is new: Label Studio repeats `/setup` very often.

        The label config of a known project is left to the sync, which also sees to what a change of it means.
        """
        with self._database.write(project_id) as session:
            project = session.get(Project, project_id)
            if project is None:
                session.add(
                    Project(id=project_id, label_config=label_config, options=options, host=host, connected=True)
                )
                return True
            new = (project.options, project.connected) != (options, True)
            if project.options != options:
                project.halvings = {}  # what there was no memory for may be smaller now
                project.chosen_strategy = None  # the last word counts
            if not project.connected:
                project.webhook_ready = False
                project.task_mark, project.reread, project.split = 0, True, None  # it may have been another's meanwhile
            if any(project.options.get(name) != options.get(name) for name in _READ_BY):
                project.task_mark, project.reread = 0, True  # there is more or less to read of every task
            project.options, project.host, project.connected = options, host, True
            return new

    def keep_secret(self, project_id: int, new: str) -> str:
        """The secret that the project's events carry: the new one, unless it has one already."""
        with self._database.write(project_id) as session:
            project = session.get_one(Project, project_id)
            project.webhook_secret = project.webhook_secret or new
            return project.webhook_secret

    def set(self, project_id: int, **values: Any) -> None:
        """Write columns of one project."""
        with self._database.write(project_id) as session:
            session.execute(update(Project).where(Project.id == project_id).values(**values))

    def forget_back_to(self, project_id: int, adapter: int) -> None:
        """Forget that this adapter was to be gone back to; another that was asked for meanwhile is not forgotten."""
        where = (Project.id == project_id, Project.back_to == adapter)
        with self._database.write(project_id) as session:
            session.execute(update(Project).where(*where).values(back_to=None))

    def take_over(self, project_id: int) -> Fence:
        """The right to write for a project, which whoever had it before no longer has."""
        with self._database.write(project_id) as session:
            session.execute(update(Project).where(Project.id == project_id).values(fence=Project.fence + 1))
            token = session.scalar(select(Project.fence).where(Project.id == project_id))
        return Fence(project_id, token or 0)

    def take_turn(self, project_id: int, turn: int) -> None:
        """Note that the workflow `turn` has begun, so that later events make the next one. Safe to repeat."""
        with self._database.write(project_id) as session:
            session.execute(update(Project).where(Project.id == project_id, Project.turn == turn).values(turn=turn + 1))

    def add_published(self, project_id: int, queue: int, version: str) -> None:
        """Remember, before its predictions are imported, that a queue version is ours. Safe to repeat."""
        with self._database.write(project_id) as session:
            session.merge(PublishedQueue(project_id=project_id, queue=queue, version=version))

    def published(self, project_id: int) -> list[PublishedQueue]:
        """The queue versions that may still have predictions in Label Studio, oldest first."""
        query = select(PublishedQueue).where(PublishedQueue.project_id == project_id).order_by(PublishedQueue.queue)
        with self._database.read() as session:
            return list(session.scalars(query))

    def next_queue(self, project_id: int) -> int:
        """A number that no queue has had, be it published, half published or given up."""
        tried = [queue.queue for queue in self.published(project_id)]
        project = self.get(project_id)
        return max([project.queue if project else 0, *tried]) + 1

    def remove_published(self, project_id: int, queue: int) -> None:
        """Forget a queue version whose predictions are gone."""
        with self._database.write(project_id) as session:
            found = session.get(PublishedQueue, (project_id, queue))
            if found is not None:
                session.delete(found)

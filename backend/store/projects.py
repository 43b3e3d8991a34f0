"""Connected projects, their options and the progress of their rounds."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, select, update

from backend.errors import UnknownError
from backend.store.sql.database import Database, Fence
from backend.store.sql.models import MOST_ID, AuditEntry, Base, Project, PublishedQueue

# Options that change what is read from a task.
READ_BY = ("ignore_controls", "ground_truth", "context", "taxonomy", "only")


class Projects:
    """The connected projects."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def known(self, project_id: int) -> Project:
        """The project, detached. Raises `UnknownError` if it never connected."""
        found = self.get(project_id)
        if found is None:
            raise UnknownError(f"project {project_id} is not known here; connect this backend in its Settings → Model")
        return found

    def get(self, project_id: int) -> Project | None:
        """The project, detached; None if it never connected."""
        if project_id > MOST_ID:
            return None
        with self._database.read() as session:
            return session.get(Project, project_id)

    def all(self, *, connected: bool = True) -> list[Project]:
        """Projects ordered by id. Default: connected ones only."""
        query = select(Project).order_by(Project.id)
        if connected:
            query = query.where(Project.connected)
        with self._database.read() as session:
            return list(session.scalars(query))

    def connect(self, project_id: int, *, label_config: str, options: dict[str, Any], host: str) -> bool:
        """Store the values of a `/setup` request. Returns True if any changed: Label Studio often repeats `/setup`.

        The label config of a known project is not updated here but by the sync, which also handles its consequences.
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
                project.halvings = {}  # with other options the batches may fit in memory
                project.chosen_strategy = None  # the latest change wins
            if not project.connected:
                project.webhook_ready = False
                project.task_mark, project.reread, project.split = 0, True, None  # another backend may have changed it
            if any(project.options.get(name) != options.get(name) for name in READ_BY):
                project.task_mark, project.reread = 0, True  # all tasks must be read again
            project.options, project.host, project.connected = options, host, True
            return new

    def keep_secret(self, project_id: int, new: str) -> str:
        """The project's webhook secret; `new` is stored and returned if it has none."""
        with self._database.write(project_id) as session:
            project = session.get_one(Project, project_id)
            project.webhook_secret = project.webhook_secret or new
            return project.webhook_secret

    def set(self, project_id: int, **values: Any) -> None:
        """Update columns of one project."""
        with self._database.write(project_id) as session:
            session.execute(update(Project).where(Project.id == project_id).values(**values))

    def forget(self, project_id: int) -> None:
        """Delete a project with its tasks, annotations, rounds and events. The audit trail stays."""
        with self._database.write(project_id) as session:
            for table in Base.metadata.sorted_tables:
                key = table.c.id if table is Project.__table__ else table.c.get("project_id")
                if key is not None and table is not AuditEntry.__table__:
                    session.execute(delete(table).where(key == project_id))

    def forget_back_to(self, project_id: int, adapter: int) -> None:
        """Clear the request to go back to this adapter; a later request for another one is kept."""
        where = (Project.id == project_id, Project.back_to == adapter)
        with self._database.write(project_id) as session:
            session.execute(update(Project).where(*where).values(back_to=None))

    def take_over(self, project_id: int) -> Fence:
        """A new fencing token for a project; it invalidates all earlier ones."""
        with self._database.write(project_id) as session:
            session.execute(update(Project).where(Project.id == project_id).values(fence=Project.fence + 1))
            token = session.scalar(select(Project.fence).where(Project.id == project_id))
        return Fence(project_id, token or 0)

    def take_turn(self, project_id: int, turn: int) -> None:
        """Record that the workflow `turn` has begun; later events start the next one. Idempotent."""
        with self._database.write(project_id) as session:
            session.execute(update(Project).where(Project.id == project_id, Project.turn == turn).values(turn=turn + 1))

    def add_published(self, project_id: int, queue: int, version: str) -> None:
        """Record a queue version as ours, before its predictions are imported. Idempotent."""
        with self._database.write(project_id) as session:
            session.merge(PublishedQueue(project_id=project_id, queue=queue, version=version))

    def published(self, project_id: int) -> list[PublishedQueue]:
        """The queue versions that may still have predictions in Label Studio, oldest first."""
        query = select(PublishedQueue).where(PublishedQueue.project_id == project_id).order_by(PublishedQueue.queue)
        with self._database.read() as session:
            return list(session.scalars(query))

    def next_queue(self, project_id: int) -> int:
        """The next unused queue number; partly published and abandoned queues count as used."""
        tried = [queue.queue for queue in self.published(project_id)]
        project = self.get(project_id)
        return max([project.queue if project else 0, *tried]) + 1

    def remove_published(self, project_id: int, queue: int) -> None:
        """Delete the record of a queue version whose predictions have been deleted."""
        with self._database.write(project_id) as session:
            found = session.get(PublishedQueue, (project_id, queue))
            if found is not None:
                session.delete(found)


def is_confirmed(project: Project) -> bool:
    """Whether Label Studio knows a project. Otherwise only `/setup` names it, which anyone may call."""
    return bool(project.round or project.task_mark or project.title or project.webhook_ready)

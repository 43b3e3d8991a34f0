"""Rounds, the adapters they train and the queues they publish."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import delete, func, select, update

from backend.store.sql.database import Database
from backend.store.sql.models import Adapter, Project, QueueItem, Round

KEPT_QUEUES = 5  # per project, the newest ones
PERSON = "person"  # in place of the strategy that selected a task: a person put it first
MINIMUM = "minimum per class"  # likewise: its class has fewer labels than the option of this name
SECOND_OPINION = "second opinion"  # likewise: it is labeled, and another annotator labels it again


class Place(NamedTuple):
    """A selected task."""

    task_id: int
    audit: bool = False
    score: float | None = None
    probability: float | None = None
    chosen_by: str | None = None


class Rounds:
    """Records of rounds, adapters and queues of one project."""

    def __init__(self, database: Database, project_id: int) -> None:
        self._database = database
        self._id = project_id

    def begin(self, number: int, **values: Any) -> None:
        """Record that a round has begun. values: further columns. Idempotent."""
        with self._database.write(self._id) as session:
            if session.get(Round, (self._id, number)) is None:
                row = Round(project_id=self._id, number=number, state="running", step="sync", **values)
                row.started_at = time.time()
                session.add(row)
            session.execute(update(Project).where(Project.id == self._id, Project.round < number).values(round=number))

    def set(self, number: int, **values: Any) -> None:
        """Update columns of one round."""
        where = (Round.project_id == self._id, Round.number == number)
        with self._database.write(self._id) as session:
            session.execute(update(Round).where(*where).values(**values))

    def put_review(self, number: int, found: dict[str, Any]) -> None:
        """Store a round's label review and delete those of earlier rounds."""
        earlier = (Round.project_id == self._id, Round.number < number)
        with self._database.write(self._id) as session:
            session.execute(update(Round).where(*earlier, Round.review.is_not(None)).values(review=None))
        self.set(number, review=found)

    def last(self, column: str, *, done: bool = False) -> Any:
        """The newest non-null value of a column; with `done`, of finished rounds only. None if there is none."""
        value = getattr(Round, column)
        query = select(value).where(Round.project_id == self._id, value.is_not(None))
        if done:  # an unfinished round's adapter may never have served
            query = query.where(Round.state == "done")
        with self._database.read() as session:
            return session.scalars(query.order_by(Round.number.desc()).limit(1)).first()

    def took(self, number: int, step: str, seconds: float) -> None:
        """Record the duration of a finished step and reset its tries."""
        with self._database.write(self._id) as session:
            found = session.get_one(Round, (self._id, number))
            found.seconds = {**found.seconds, step: round(seconds, 3)}
            found.tries = {**found.tries, step: 0}
            found.step = step

    def begin_try(self, number: int, step: str) -> int:
        """Record that a step starts. Returns how many times it has started without finishing, this time included."""
        with self._database.write(self._id) as session:
            found = session.get_one(Round, (self._id, number))
            tries = int(found.tries.get(step, 0)) + 1
            found.tries = {**found.tries, step: tries}
        return tries

    def get(self, number: int) -> Round | None:
        """One round, detached."""
        with self._database.read() as session:
            return session.get(Round, (self._id, number))

    def all(self) -> list[Round]:
        """All rounds of a project, oldest first."""
        query = select(Round).where(Round.project_id == self._id).order_by(Round.number)
        with self._database.read() as session:
            return list(session.scalars(query))

    def failures(self) -> int:
        """Number of failed rounds since the last successful one."""
        good = select(func.max(Round.number)).where(Round.project_id == self._id, Round.state == "done")
        query = select(func.count()).where(Round.project_id == self._id, Round.state == "failed")
        with self._database.read() as session:
            return session.scalar(query.where(Round.number > (session.scalar(good) or 0))) or 0

    def put_adapter(self, adapter: Adapter) -> None:
        """Record an adapter whose files are complete. Idempotent."""
        with self._database.write(adapter.project_id) as session:
            session.merge(adapter)

    def set_targets(self, number: int, targets: list[dict[str, Any]]) -> None:
        """Store the targets of an adapter, thresholds included."""
        where = (Adapter.project_id == self._id, Adapter.number == number)
        with self._database.write(self._id) as session:
            session.execute(update(Adapter).where(*where).values(targets=targets))

    def set_digest(self, number: int, digest: str) -> None:
        """Store the digest under which an adapter's files are in shared storage."""
        where = (Adapter.project_id == self._id, Adapter.number == number)
        with self._database.write(self._id) as session:
            session.execute(update(Adapter).where(*where).values(digest=digest))

    def give_up_after(self, number: int) -> None:
        """Mark every adapter after this one as given up, and this one as not given up. Idempotent."""
        mine = (Adapter.project_id == self._id, Adapter.number >= number)
        with self._database.write(self._id) as session:
            session.execute(update(Adapter).where(*mine).values(given_up=Adapter.number > number))

    def adapter(self, number: int) -> Adapter | None:
        """One adapter version, detached."""
        with self._database.read() as session:
            return session.get(Adapter, (self._id, number))

    def last_adapter(self) -> int:
        """The highest adapter version number of a project; 0 if it has none."""
        query = select(func.max(Adapter.number)).where(Adapter.project_id == self._id)
        with self._database.read() as session:
            return session.scalar(query) or 0

    def put_queue(self, queue: int, items: Sequence[Place]) -> None:
        """Store a queue in order. Replaces the one of an earlier try and deletes all but the newest `KEPT_QUEUES`."""
        with self._database.write(self._id) as session:
            mine = QueueItem.project_id == self._id
            old = QueueItem.queue <= queue - KEPT_QUEUES
            session.execute(delete(QueueItem).where(mine, (QueueItem.queue == queue) | old))
            for position, place in enumerate(items):
                session.add(QueueItem(project_id=self._id, queue=queue, position=position, **place._asdict()))

    def of_queue(self, queue: int) -> Round | None:
        """The round that published this queue."""
        query = select(Round).where(Round.project_id == self._id, Round.queue == queue)
        with self._database.read() as session:
            return session.scalars(query.order_by(Round.number.desc()).limit(1)).first()

    def explain(self, queue: int, why: Mapping[int, dict[str, Any]]) -> None:
        """Store for each task of a queue why it was selected."""
        mine = select(QueueItem).where(QueueItem.project_id == self._id, QueueItem.queue == queue)
        with self._database.write(self._id) as session:
            for item in session.scalars(mine):
                item.why = why.get(item.task_id)

    def queue(self, queue: int) -> list[QueueItem]:
        """The tasks of a queue in order; empty if it does not exist."""
        query = (
            select(QueueItem)
            .where(QueueItem.project_id == self._id, QueueItem.queue == queue)
            .order_by(QueueItem.position)
        )
        with self._database.read() as session:
            return list(session.scalars(query))


class AllRounds:
    """Records of rounds and adapters of all projects."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def forgive_tries(self, project_ids: Collection[int] | None = None) -> None:
        """Reset the tries and batch halvings of these projects. Default: all projects.

        For a process that stopped normally; it may have more memory after the restart.
        """
        with self._database.read() as session:
            known = session.scalars(select(Project.id)).all()
        for project_id in known if project_ids is None else project_ids:  # one transaction and lock per project
            running = (Round.project_id == project_id, Round.state == "running")
            with self._database.write(project_id) as session:
                session.execute(update(Round).where(*running).values(tries={}))
                session.execute(update(Project).where(Project.id == project_id).values(halvings={}))

    def newest(self) -> list[Round]:
        """The latest round of each project."""
        last = select(Round.project_id, func.max(Round.number).label("number")).group_by(Round.project_id).subquery()
        query = select(Round).join(last, (Round.project_id == last.c.project_id) & (Round.number == last.c.number))
        with self._database.read() as session:
            return list(session.scalars(query))

    def adapters(self) -> list[tuple[int, int]]:
        """Project and number of every adapter, oldest first."""
        query = select(Adapter.project_id, Adapter.number).order_by(Adapter.created_at)
        with self._database.read() as session:
            return [(project, number) for project, number in session.execute(query)]

"""Rounds, the adapters they trained and the queues they published."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import delete, func, select, update

from backend.store.database import Database
from backend.store.models import Adapter, Project, QueueItem, Round

KEPT_QUEUES = 5  # the last ones, of each project


class Place(NamedTuple):
    """A task in a selection."""

    task_id: int
    audit: bool = False
    score: float | None = None
    probability: float | None = None
    chosen_by: str | None = None


class Rounds:
    """What happened in each round, and what came of it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, project_id: int, number: int, **values: Any) -> None:
        """Record that a round runs, with columns of it. Safe to repeat."""
        with self._database.write(project_id) as session:
            if session.get(Round, (project_id, number)) is None:
                row = Round(project_id=project_id, number=number, state="running", step="sync", **values)
                row.started_at = time.time()
                session.add(row)
            session.execute(
                update(Project).where(Project.id == project_id, Project.round < number).values(round=number)
            )

    def set(self, project_id: int, number: int, **values: Any) -> None:
        """Write columns of one round."""
        where = (Round.project_id == project_id, Round.number == number)
        with self._database.write(project_id) as session:
            session.execute(update(Round).where(*where).values(**values))

    def put_review(self, project_id: int, number: int, found: dict[str, Any] | None) -> None:
        """Write a round's look at the labels. Those of earlier rounds are of no use any more."""
        earlier = (Round.project_id == project_id, Round.number < number)
        with self._database.write(project_id) as session:
            session.execute(update(Round).where(*earlier, Round.review.is_not(None)).values(review=None))
        self.set(project_id, number, review=found)

    def last(self, project_id: int, column: str, *, done: bool = False) -> Any:
        """The newest value of a column that a round wrote, or only one that is done; None if none did."""
        value = getattr(Round, column)
        query = select(value).where(Round.project_id == project_id, value.is_not(None))
        if done:  # what others tell may be of an adapter that never served
            query = query.where(Round.state == "done")
        with self._database.read() as session:
            return session.scalars(query.order_by(Round.number.desc()).limit(1)).first()

    def took(self, project_id: int, number: int, step: str, seconds: float) -> None:
        """Record how long a step took."""
        with self._database.write(project_id) as session:
            found = session.get_one(Round, (project_id, number))
            found.seconds = {**found.seconds, step: round(seconds, 3)}
            found.tries = {**found.tries, step: 0}
            found.step = step

    def begin_try(self, project_id: int, number: int, step: str) -> int:
        """Note that a step is begun, and return how often it now was without coming to an end."""
        with self._database.write(project_id) as session:
            found = session.get_one(Round, (project_id, number))
            tries = int(found.tries.get(step, 0)) + 1
            found.tries = {**found.tries, step: tries}
        return tries

    def forgive_tries(self, project_ids: Collection[int] | None = None) -> None:
        """Forget what steps of these projects, or of all, had no memory for.

        Their process was stopped in good order, and may get more of it.
        """
        with self._database.read() as session:
            known = session.scalars(select(Project.id)).all()
        for project_id in known if project_ids is None else project_ids:  # each waits for its lock
            running = (Round.project_id == project_id, Round.state == "running")
            with self._database.write(project_id) as session:
                session.execute(update(Round).where(*running).values(tries={}))
                session.execute(update(Project).where(Project.id == project_id).values(halvings={}))

    def get(self, project_id: int, number: int) -> Round | None:
        """One round, detached."""
        with self._database.read() as session:
            return session.get(Round, (project_id, number))

    def all(self, project_id: int) -> list[Round]:
        """All rounds of a project, oldest first."""
        query = select(Round).where(Round.project_id == project_id).order_by(Round.number)
        with self._database.read() as session:
            return list(session.scalars(query))

    def failures(self, project_id: int) -> int:
        """How many rounds have failed since the last that did not."""
        good = select(func.max(Round.number)).where(Round.project_id == project_id, Round.state == "done")
        query = select(func.count()).where(Round.project_id == project_id, Round.state == "failed")
        with self._database.read() as session:
            return session.scalar(query.where(Round.number > (session.scalar(good) or 0))) or 0

    def newest(self) -> list[Round]:
        """The last round of each project."""
        last = select(Round.project_id, func.max(Round.number).label("number")).group_by(Round.project_id).subquery()
        query = select(Round).join(last, (Round.project_id == last.c.project_id) & (Round.number == last.c.number))
        with self._database.read() as session:
            return list(session.scalars(query))

    def put_adapter(self, adapter: Adapter) -> None:
        """Record an adapter whose files are complete. Safe to repeat."""
        with self._database.write(adapter.project_id) as session:
            session.merge(adapter)

    def set_targets(self, project_id: int, number: int, targets: list[dict[str, Any]]) -> None:
        """Write what an adapter learned, thresholds included."""
        where = (Adapter.project_id == project_id, Adapter.number == number)
        with self._database.write(project_id) as session:
            session.execute(update(Adapter).where(*where).values(targets=targets))

    def set_digest(self, project_id: int, number: int, digest: str) -> None:
        """Write under which digest an adapter's files are in shared storage."""
        where = (Adapter.project_id == project_id, Adapter.number == number)
        with self._database.write(project_id) as session:
            session.execute(update(Adapter).where(*where).values(digest=digest))

    def give_up_after(self, project_id: int, number: int) -> None:
        """Note that every adapter after this one was given up, and that this one is not. Safe to repeat."""
        mine = (Adapter.project_id == project_id, Adapter.number >= number)
        with self._database.write(project_id) as session:
            session.execute(update(Adapter).where(*mine).values(given_up=Adapter.number > number))

    def adapter(self, project_id: int, number: int) -> Adapter | None:
        """One adapter version, detached."""
        with self._database.read() as session:
            return session.get(Adapter, (project_id, number))

    def last_adapter(self, project_id: int) -> int:
        """The highest adapter version of a project; 0 if it has none."""
        query = select(func.max(Adapter.number)).where(Adapter.project_id == project_id)
        with self._database.read() as session:
            return session.scalar(query) or 0

    def adapters(self) -> list[tuple[int, int]]:
        """Project and number of every adapter, oldest first."""
        query = select(Adapter.project_id, Adapter.number).order_by(Adapter.created_at)
        with self._database.read() as session:
            return [(project, number) for project, number in session.execute(query)]

    def put_queue(self, project_id: int, queue: int, items: Sequence[Place]) -> None:
        """Record a selection in its order. Replaces an earlier try; of the others only the last are kept."""
        with self._database.write(project_id) as session:
            mine = QueueItem.project_id == project_id
            old = QueueItem.queue <= queue - KEPT_QUEUES
            session.execute(delete(QueueItem).where(mine, (QueueItem.queue == queue) | old))
            for position, place in enumerate(items):
                session.add(QueueItem(project_id=project_id, queue=queue, position=position, **place._asdict()))

    def of_queue(self, project_id: int, queue: int) -> Round | None:
        """The round that published this queue."""
        query = select(Round).where(Round.project_id == project_id, Round.queue == queue)
        with self._database.read() as session:
            return session.scalars(query.order_by(Round.number.desc()).limit(1)).first()

    def explain(self, project_id: int, queue: int, why: Mapping[int, dict[str, Any]]) -> None:
        """Write to each task of a queue what speaks for it."""
        mine = select(QueueItem).where(QueueItem.project_id == project_id, QueueItem.queue == queue)
        with self._database.write(project_id) as session:
            for item in session.scalars(mine):
                item.why = why.get(item.task_id)

    def queue(self, project_id: int, queue: int) -> list[QueueItem]:
        """A queue in its order; empty if there is none of this number."""
        query = (
            select(QueueItem)
            .where(QueueItem.project_id == project_id, QueueItem.queue == queue)
            .order_by(QueueItem.position)
        )
        with self._database.read() as session:
            return list(session.scalars(query))

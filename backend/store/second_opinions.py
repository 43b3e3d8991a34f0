"""Labeled tasks that another annotator labels again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from backend.store.sql.database import CHUNK, Database
from backend.store.sql.models import SecondOpinion, Task


class Opinions(NamedTuple):
    """How many tasks wait for a second opinion, how many have one, and on how many it changed the label."""

    waiting: int
    given: int
    changed: int


class SecondOpinions:
    """The tasks of one project that wait for a second opinion, or have one."""

    def __init__(self, database: Database, project_id: int) -> None:
        self._database = database
        self._id = project_id
        self._mine = SecondOpinion.project_id == project_id

    def request(self, wanted: Mapping[int, int]) -> None:
        """Record that these tasks wait for opinions. wanted: by task, how many annotators it then has. Idempotent."""
        with self._database.write(self._id) as session:
            for task_id, number in wanted.items():
                known = session.get(SecondOpinion, (self._id, task_id))
                if known is not None and known.answered and known.learned_in is None:
                    continue  # the next round learns the answer first
                if known is None or known.wanted != number or known.answered:
                    labels = session.scalar(select(Task.labels).where(Task.project_id == self._id, Task.id == task_id))
                    session.merge(
                        SecondOpinion(
                            project_id=self._id, task_id=task_id, wanted=number, former=labels,
                            raised=False, answered=False, learned_in=None,
                        )
                    )  # fmt: skip

    def waiting(self) -> dict[int, int]:
        """By task that waits for one: the number of annotators that it then has."""
        query = select(SecondOpinion.task_id, SecondOpinion.wanted).where(self._mine, ~SecondOpinion.answered)
        with self._database.read() as session:
            return {task_id: wanted for task_id, wanted in session.execute(query)}  # noqa: C416 # rows are no pairs

    def not_raised(self) -> list[int]:
        """Those of which Label Studio does not know yet."""
        query = select(SecondOpinion.task_id).where(self._mine, ~SecondOpinion.answered, ~SecondOpinion.raised)
        with self._database.read() as session:
            return list(session.scalars(query.order_by(SecondOpinion.task_id)))

    def answered_raised(self) -> list[int]:
        """Answered ones whose overlap is still raised in Label Studio."""
        query = select(SecondOpinion.task_id).where(self._mine, SecondOpinion.answered, SecondOpinion.raised)
        with self._database.read() as session:
            return list(session.scalars(query.order_by(SecondOpinion.task_id)))

    def raised(self, task_id: int, *, now: bool = True) -> None:
        """Record whether the overlap is raised in Label Studio."""
        with self._database.write(self._id) as session:
            session.execute(
                update(SecondOpinion).where(self._mine, SecondOpinion.task_id == task_id).values(raised=now)
            )

    def withdraw(self, task_ids: Collection[int]) -> None:
        """Delete those of these tasks that are not answered."""
        listed = list(task_ids)
        with self._database.write(self._id) as session:
            for start in range(0, len(listed), CHUNK):
                chunk = SecondOpinion.task_id.in_(listed[start : start + CHUNK])
                session.execute(delete(SecondOpinion).where(self._mine, chunk, ~SecondOpinion.answered))

    def count_new(self) -> int:
        """Number of opinions that no round has seen yet."""
        new = (self._mine, SecondOpinion.answered, SecondOpinion.learned_in.is_(None))
        with self._database.read() as session:
            return session.scalar(select(func.count()).select_from(SecondOpinion).where(*new)) or 0

    def summary(self) -> Opinions:
        """Counts of all."""
        query = (
            select(SecondOpinion.answered, SecondOpinion.former, Task.labels)
            .join(Task, (Task.project_id == SecondOpinion.project_id) & (Task.id == SecondOpinion.task_id))
            .where(self._mine)
        )
        with self._database.read() as session:
            rows = session.execute(query).all()
        given = [former != labels for answered, former, labels in rows if answered]
        return Opinions(len(rows) - len(given), len(given), sum(given))


def came(session: Session, project_id: int, annotators: Mapping[int, int]) -> None:
    """Record opinions that arrived. annotators: by task, how many have labeled it."""
    listed = list(annotators)
    for start in range(0, len(listed), CHUNK):
        query = select(SecondOpinion).where(
            SecondOpinion.project_id == project_id,
            SecondOpinion.task_id.in_(listed[start : start + CHUNK]),
            ~SecondOpinion.answered,
        )
        for each in session.scalars(query):
            each.answered = annotators[each.task_id] >= each.wanted


def learned(session: Session, project_id: int, number: int) -> None:
    """Record `number` as the round that first saw all opinions that no earlier round has seen."""
    new = (SecondOpinion.project_id == project_id, SecondOpinion.answered, SecondOpinion.learned_in.is_(None))
    session.execute(update(SecondOpinion).where(*new).values(learned_in=number))


def unlearned(session: Session, project_id: int, number: int) -> None:
    """Undo `learned`: the round failed."""
    seen = (SecondOpinion.project_id == project_id, SecondOpinion.learned_in == number)
    session.execute(update(SecondOpinion).where(*seen).values(learned_in=None))


def forget(session: Session, project_id: int, task_ids: Collection[int]) -> None:
    """Delete what is recorded of these tasks: they or their annotations are gone."""
    which = (SecondOpinion.project_id == project_id, SecondOpinion.task_id.in_(task_ids))
    session.execute(delete(SecondOpinion).where(*which))

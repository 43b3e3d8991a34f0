"""Requests to have the remaining tasks labeled by the model, its labels of them, and which of those were taken."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import delete, func, select, update

from backend.store.sql.database import CHUNK, Database
from backend.store.sql.models import Finish, FinishedTask, Task

REQUESTED = "requested"  # the worker draws the sample
SAMPLING = "sampling"  # people label the sample
CERTIFIED = "certified"  # a part of the labels can be taken
REFUSED = "refused"  # no part of the labels is proven right, or no sample could be drawn
TAKEN = "taken"  # the model's labels are kept here
WRITTEN = "written"  # and are annotations in Label Studio
WITHDRAWN = "withdrawn"  # later labels of people show that too many are wrong; the labels stay
TAKEN_BACK = "taken back"  # the labels are dropped
CANCELLED = "cancelled"  # before it was decided
OPEN = (REQUESTED, SAMPLING)
IN_FORCE = (TAKEN, WRITTEN, WITHDRAWN)

# What can be requested of one.
TAKE, WRITE, TAKE_BACK, CANCEL = "take", "write", "take_back", "cancel"
POSSIBLE = {  # by request: the states in which it can be made
    TAKE: (CERTIFIED,),
    WRITE: (CERTIFIED, TAKEN),
    TAKE_BACK: IN_FORCE,
    CANCEL: OPEN,
}


def possible(state: str) -> list[str]:
    """What can be requested in a state."""
    return [name for name, states in POSSIBLE.items() if state in states]


class Answer(NamedTuple):
    """The model's label of a remaining task."""

    task_id: int
    confidence: float
    labels: dict[str, Any]  # by control
    sampled: bool


class Given(NamedTuple):
    """A label of the model that was taken."""

    finish: int
    task_id: int
    confidence: float
    labels: dict[str, Any]
    annotation: int | None  # Label Studio's number of the written one


class Finishes:
    """The finishes of one project."""

    def __init__(self, database: Database, project_id: int) -> None:
        self._database = database
        self._id = project_id

    def last(self) -> Finish | None:
        """The newest one."""
        query = select(Finish).where(Finish.project_id == self._id).order_by(Finish.number.desc()).limit(1)
        with self._database.read() as session:
            return session.scalar(query)

    def all(self) -> list[Finish]:
        """All, oldest first."""
        with self._database.read() as session:
            return list(session.scalars(select(Finish).where(Finish.project_id == self._id).order_by(Finish.number)))

    def request(self, **values: Any) -> int:
        """Store a new request. Returns its number."""
        with self._database.write(self._id) as session:
            last = session.scalar(select(func.max(Finish.number)).where(Finish.project_id == self._id)) or 0
            session.add(Finish(
                project_id=self._id, number=last + 1, state=REQUESTED, requested_at=time.time(), result={}, **values
            ))  # fmt: skip
        return last + 1

    def set(self, number: int, **values: Any) -> None:
        """Update columns of one finish."""
        mine = (Finish.project_id == self._id, Finish.number == number)
        with self._database.write(self._id) as session:
            session.execute(update(Finish).where(*mine).values(**values))

    def put_sample(self, number: int, answers: Iterable[Answer], **values: Any) -> None:
        """Store the model's answers to the remaining tasks, and reserve those of the sample. values: of the finish."""
        rows = [{"project_id": self._id, "finish": number, **each._asdict(), "taken": False} for each in answers]
        sampled = [row["task_id"] for row in rows if row["sampled"]]
        with self._database.write(self._id) as session:
            session.execute(delete(FinishedTask).where(*self._of(number)))
            for start in range(0, len(rows), CHUNK):
                session.connection().execute(self._database.insert(FinishedTask), rows[start : start + CHUNK])
            for start in range(0, len(sampled), CHUNK):
                mine = (Task.project_id == self._id, Task.id.in_(sampled[start : start + CHUNK]))
                session.execute(update(Task).where(*mine).values(sampled=True))
            session.execute(
                update(Finish).where(Finish.project_id == self._id, Finish.number == number)
                .values(state=SAMPLING, **values)
            )  # fmt: skip

    def answers(self, number: int, *, to: Sequence[int] | None = None) -> list[Answer]:
        """The stored answers, ordered by task. to: those of these tasks."""
        return [Answer(*row) for row in self._rows(Answer._fields, *self._of(number), to=to)]

    def decide(self, number: int, state: str, *, right: Mapping[int, bool], keep: Iterable[int], **values: Any) -> None:
        """Store a decision, and release the sample for training.

        right: of each task of the sample. keep: the other tasks whose answers can be taken; those of the rest are
        dropped.
        """
        kept, mine = set(keep), self._of(number)
        with self._database.write(self._id) as session:
            others = session.scalars(select(FinishedTask.task_id).where(*mine, FinishedTask.sampled.is_(False))).all()
            self._each_chunk([each for each in others if each not in kept],
                             lambda chunk: session.execute(delete(FinishedTask).where(*mine, chunk)))  # fmt: skip
            for value in (True, False):
                self._each_chunk(
                    [task for task, is_right in right.items() if is_right is value],
                    lambda chunk, value=value: session.execute(
                        update(FinishedTask).where(*mine, chunk).values(right=value)
                    ),
                )
            session.execute(update(Task).where(Task.project_id == self._id, Task.sampled).values(sampled=False))
            session.execute(
                update(Finish).where(Finish.project_id == self._id, Finish.number == number)
                .values(state=state, decided_at=time.time(), **values)
            )  # fmt: skip

    def take(self, number: int) -> int:
        """Take the answers of all tasks that people have not labeled since. Returns how many are taken now."""
        with self._database.write(self._id) as session:
            free = (
                select(Task.id)
                .where(Task.project_id == self._id, Task.annotated.is_(False), Task.skipped.is_(False))
                .scalar_subquery()
            )
            mine = (*self._of(number), FinishedTask.sampled.is_(False))
            session.execute(update(FinishedTask).where(*mine, FinishedTask.task_id.in_(free)).values(taken=True))
            taken = select(FinishedTask.task_id).where(*mine, FinishedTask.taken).scalar_subquery()
            session.execute(update(Task).where(Task.project_id == self._id, Task.id.in_(taken)).values(taken=True))
            count = session.scalar(select(func.count()).select_from(FinishedTask).where(*mine, FinishedTask.taken))
            session.execute(
                update(Finish).where(Finish.project_id == self._id, Finish.number == number).values(state=TAKEN)
            )
        return count or 0

    def drop(self, number: int) -> None:
        """Give up the taken answers of a finish: their tasks are open again."""
        with self._database.write(self._id) as session:
            mine = (*self._of(number), FinishedTask.taken)
            taken = select(FinishedTask.task_id).where(*mine).scalar_subquery()
            session.execute(update(Task).where(Task.project_id == self._id, Task.id.in_(taken)).values(taken=False))
            session.execute(update(FinishedTask).where(*mine).values(taken=False, annotation=None))

    def given(self, number: int | None = None, *, to: Sequence[int] | None = None) -> list[Given]:
        """The taken answers, ordered by task. number: of one finish. to: those of these tasks."""
        mine = (FinishedTask.project_id == self._id,) if number is None else self._of(number)
        return [Given(*row) for row in self._rows(Given._fields, *mine, FinishedTask.taken, to=to)]

    def relabeled(self, number: int) -> dict[int, tuple[dict[str, Any], dict[str, Any]]]:
        """The taken answers that people have labeled since, and their labels, by task."""
        query = (
            select(FinishedTask.task_id, FinishedTask.labels, Task.labels)
            .join(Task, (Task.project_id == FinishedTask.project_id) & (Task.id == FinishedTask.task_id))
            .where(*self._of(number), FinishedTask.taken, Task.labeled)
        )
        with self._database.read() as session:
            return {task_id: (ours, theirs or {}) for task_id, ours, theirs in session.execute(query)}

    def written(self, finish: int, task_id: int, annotation: int | None) -> None:
        """Record the annotation that holds a taken answer in Label Studio; None: it was deleted."""
        with self._database.write(self._id) as session:
            session.execute(
                update(FinishedTask).where(*self._of(finish), FinishedTask.task_id == task_id)
                .values(annotation=annotation)
            )  # fmt: skip

    def put_right(self, number: int, right: Mapping[int, bool]) -> None:
        """Store which taken answers people's later labels confirm."""
        with self._database.write(self._id) as session:
            for task_id, is_right in right.items():
                session.execute(
                    update(FinishedTask).where(*self._of(number), FinishedTask.task_id == task_id)
                    .values(right=is_right)
                )  # fmt: skip

    def count_given(self) -> int:
        """Number of taken answers."""
        return self._count()

    def count_only_ours(self) -> int:
        """Number of tasks that have a written answer and no annotation of a person."""
        return self._count(FinishedTask.annotation.is_not(None), Task.annotated.is_(False))

    def _count(self, *conditions: Any) -> int:
        query = (
            select(func.count()).select_from(FinishedTask)
            .join(Task, (Task.project_id == FinishedTask.project_id) & (Task.id == FinishedTask.task_id))
            .where(FinishedTask.project_id == self._id, FinishedTask.taken, *conditions)
        )  # fmt: skip
        with self._database.read() as session:
            return session.scalar(query) or 0

    def _rows(self, names: Sequence[str], *conditions: Any, to: Sequence[int] | None) -> list[Any]:
        """Columns of the answers, ordered by task."""
        columns = [getattr(FinishedTask, name) for name in names]
        query = select(*columns).where(*conditions).order_by(FinishedTask.task_id)
        with self._database.read() as session:
            if to is None:
                return list(session.execute(query))
            chunks = [FinishedTask.task_id.in_(to[start : start + CHUNK]) for start in range(0, len(to), CHUNK)]
            return [row for chunk in chunks for row in session.execute(query.where(chunk))]

    def _of(self, number: int) -> tuple[Any, ...]:
        return (FinishedTask.project_id == self._id, FinishedTask.finish == number)

    @staticmethod
    def _each_chunk(task_ids: Sequence[int], execute: Any) -> None:
        for start in range(0, len(task_ids), CHUNK):
            execute(FinishedTask.task_id.in_(task_ids[start : start + CHUNK]))

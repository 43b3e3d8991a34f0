"""Requests to have the remaining tasks labeled by the model, its labels of them, and which of those were taken."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import delete, func, select, update
from sqlalchemy.sql import ColumnElement

from backend.store.sql.database import CHUNK, Database
from backend.store.sql.models import Finish, FinishedTask, Task

REQUESTED = "requested"  # the worker draws the sample
SAMPLING = "sampling"  # people label the sample
CERTIFIED = "certified"  # a part of the labels can be taken
REFUSED = "refused"  # no part of the labels is proven right, or no sample could be drawn
TAKEN = "taken"  # the model's labels are kept here
WRITTEN = "written"  # and are annotations in Label Studio
WITHDRAWN = "withdrawn"  # people changed more of the labels than may be wrong; the others stay
TAKEN_BACK = "taken back"  # the labels are dropped
CANCELLED = "cancelled"  # before it was decided
OPEN = (REQUESTED, SAMPLING)
IN_FORCE = (TAKEN, WRITTEN, WITHDRAWN)

# What has the accuracy: the model's labels, those of each class by itself, or all tasks, where people's count as right.
MACHINE, CLASS, WHOLE = "machine", "class", "whole"

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
    digest: int  # of the text
    sampled: bool = False


class Given(NamedTuple):
    """A label of the model that was taken."""

    finish: int
    task_id: int
    confidence: float
    labels: dict[str, Any]
    annotation: int | None  # Label Studio's number of the written one


class Now(NamedTuple):
    """The present state of a task that has an answer."""

    open: bool  # no person has labeled or skipped it
    same: bool  # its text is that of the answer
    labels: dict[str, Any]  # of people


class Finishes:
    """The finishes of one project."""

    def __init__(self, database: Database, project_id: int) -> None:
        self._database = database
        self._id = project_id

    def last(self) -> Finish | None:
        """The newest one."""
        found = self.all()
        return found[-1] if found else None

    def all(self) -> list[Finish]:
        """All, oldest first."""
        with self._database.read() as session:
            return list(session.scalars(select(Finish).where(self._mine).order_by(Finish.number)))

    def request(self, **values: Any) -> int | None:
        """Store a new request, and return its number; None while one is open, or a request waits."""
        busy = (Finish.state.in_(OPEN)) | (Finish.wanted.is_not(None))
        with self._database.write(self._id) as session:
            if session.scalar(select(Finish.number).where(self._mine, busy).limit(1)) is not None:
                return None
            last = session.scalar(select(func.max(Finish.number)).where(self._mine)) or 0
            session.add(Finish(
                project_id=self._id, number=last + 1, state=REQUESTED, requested_at=time.time(), result={}, **values
            ))  # fmt: skip
        return last + 1

    def wish(self, wanted: str) -> bool:
        """Request this of the newest finish, or to take back of all whose labels are taken. False if not possible."""
        with self._database.write(self._id) as session:
            last = session.scalar(select(func.max(Finish.number)).where(self._mine))
            which = [self._mine, Finish.state.in_(POSSIBLE[wanted])]
            if wanted != TAKE_BACK:
                which.append(Finish.number == last)
            found = session.scalars(select(Finish.number).where(*which)).all()
            session.execute(update(Finish).where(*which).values(wanted=wanted))
        return bool(found)

    def carried_out(self, number: int, wanted: str) -> None:
        """Clear a request, unless another was made meanwhile."""
        self._set(number, Finish.wanted == wanted, wanted=None)

    def set(self, number: int, **values: Any) -> None:
        """Update columns of one finish."""
        self._set(number, **values)

    def put_sample(self, number: int, answers: Iterable[Answer], **values: Any) -> None:
        """Store the model's answers to the remaining tasks, and reserve those of the sample. values: of the finish."""
        rows = [{"project_id": self._id, "finish": number, **each._asdict(), "taken": False} for each in answers]
        sampled = [row["task_id"] for row in rows if row["sampled"]]
        with self._database.write(self._id) as session:
            session.execute(delete(FinishedTask).where(*self._of(number)))
            for start in range(0, len(rows), CHUNK):
                session.connection().execute(self._database.insert(FinishedTask), rows[start : start + CHUNK])
            for chunk in _chunks(sampled):
                mine = (Task.project_id == self._id, Task.id.in_(chunk))
                session.execute(update(Task).where(*mine).values(sampled=True))
            where = (self._mine, Finish.number == number)
            session.execute(update(Finish).where(*where).values(state=SAMPLING, **values))

    def answers(self, number: int, *, to: Sequence[int] | None = None) -> list[Answer]:
        """The stored answers, ordered by task. to: those of these tasks."""
        return [Answer(*row) for row in self._rows(Answer._fields, *self._of(number), to=to)]

    def now(self, number: int) -> dict[int, Now]:
        """The present state of the tasks with an answer; deleted ones are left out."""
        is_open = Task.annotated.is_(False) & Task.skipped.is_(False)
        query = (
            select(FinishedTask.task_id, is_open, Task.digest == FinishedTask.digest, Task.labels)
            .join(Task, _SAME_TASK)
            .where(*self._of(number))
        )
        with self._database.read() as session:
            return {
                task_id: Now(bool(open_), bool(same), labels or {})
                for task_id, open_, same, labels in session.execute(query)
            }

    def decide(self, number: int, state: str, *, keep: Collection[int], **values: Any) -> None:
        """Store a decision, and release the sample for training. keep: the other tasks whose answers can be taken.

        Answers to the rest are dropped.
        """
        mine = (*self._of(number), FinishedTask.sampled.is_(False))
        with self._database.write(self._id) as session:
            others = session.scalars(select(FinishedTask.task_id).where(*mine)).all()
            for chunk in _chunks([each for each in others if each not in keep]):
                session.execute(delete(FinishedTask).where(*mine, FinishedTask.task_id.in_(chunk)))
            session.execute(update(Task).where(Task.project_id == self._id, Task.sampled).values(sampled=False))
            where = (self._mine, Finish.number == number)
            session.execute(update(Finish).where(*where).values(state=state, decided_at=time.time(), **values))

    def take(self, number: int) -> None:
        """Take the kept answers of all tasks whose text is the same and that no person has labeled since."""
        mine = (*self._of(number), FinishedTask.sampled.is_(False))
        with self._database.write(self._id) as session:
            free = (
                select(FinishedTask.task_id)
                .join(Task, _SAME_TASK)
                .where(*mine, Task.annotated.is_(False), Task.skipped.is_(False), Task.digest == FinishedTask.digest)
            )
            for chunk in _chunks(session.scalars(free).all()):
                session.execute(update(FinishedTask).where(*mine, FinishedTask.task_id.in_(chunk)).values(taken=True))
                session.execute(update(Task).where(Task.project_id == self._id, Task.id.in_(chunk)).values(taken=True))

    def give_back(self, given: Iterable[Given]) -> None:
        """Give up these taken answers: their tasks are open again."""
        with self._database.write(self._id) as session:
            for each in given:
                of_task = (*self._of(each.finish), FinishedTask.task_id == each.task_id)
                session.execute(update(FinishedTask).where(*of_task).values(taken=False, annotation=None))
                session.execute(
                    update(Task).where(Task.project_id == self._id, Task.id == each.task_id).values(taken=False)
                )

    def given(self, number: int | None = None, *, to: Sequence[int] | None = None) -> list[Given]:
        """The taken answers, ordered by task. number: of one finish. to: those of these tasks."""
        mine = (FinishedTask.project_id == self._id,) if number is None else self._of(number)
        return [Given(*row) for row in self._rows(Given._fields, *mine, FinishedTask.taken, to=to)]

    def relabeled(self, number: int) -> dict[int, tuple[dict[str, Any], dict[str, Any]]]:
        """The taken answers that people have labeled since, and their labels, by task."""
        query = (
            select(FinishedTask.task_id, FinishedTask.labels, Task.labels)
            .join(Task, _SAME_TASK)
            .where(*self._of(number), FinishedTask.taken, Task.labeled)
        )
        with self._database.read() as session:
            return {task_id: (ours, theirs or {}) for task_id, ours, theirs in session.execute(query)}

    def written(self, finish: int, task_id: int, annotation: int | None) -> None:
        """Record the annotation that holds a taken answer in Label Studio; None: it was deleted."""
        of_task = (*self._of(finish), FinishedTask.task_id == task_id)
        with self._database.write(self._id) as session:
            session.execute(update(FinishedTask).where(*of_task).values(annotation=annotation))

    def count_given(self) -> int:
        """Number of taken answers."""
        return self._count()

    def count_only_ours(self) -> int:
        """Number of tasks that have a written answer and no annotation of a person."""
        return self._count(FinishedTask.annotation.is_not(None), Task.annotated.is_(False))

    def _count(self, *conditions: ColumnElement[bool]) -> int:
        mine = (FinishedTask.project_id == self._id, FinishedTask.taken)
        query = select(func.count()).select_from(FinishedTask).join(Task, _SAME_TASK).where(*mine, *conditions)
        with self._database.read() as session:
            return session.scalar(query) or 0

    def _set(self, number: int, *conditions: ColumnElement[bool], **values: Any) -> None:
        with self._database.write(self._id) as session:
            session.execute(update(Finish).where(self._mine, Finish.number == number, *conditions).values(**values))

    def _rows(self, names: Sequence[str], *conditions: Any, to: Sequence[int] | None) -> list[Any]:
        """Columns of the answers, ordered by task."""
        columns = [getattr(FinishedTask, name) for name in names]
        query = select(*columns).where(*conditions).order_by(FinishedTask.task_id)
        with self._database.read() as session:
            if to is None:
                return list(session.execute(query))
            parts = [session.execute(query.where(FinishedTask.task_id.in_(chunk))) for chunk in _chunks(to)]
            return [row for part in parts for row in part]

    @property
    def _mine(self) -> ColumnElement[bool]:
        return Finish.project_id == self._id

    def _of(self, number: int) -> tuple[ColumnElement[bool], ...]:
        return (FinishedTask.project_id == self._id, FinishedTask.finish == number)


_SAME_TASK = (Task.project_id == FinishedTask.project_id) & (Task.id == FinishedTask.task_id)


def _chunks(task_ids: Sequence[int]) -> list[Sequence[int]]:
    return [task_ids[start : start + CHUNK] for start in range(0, len(task_ids), CHUNK)]

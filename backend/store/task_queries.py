"""Reading tasks: texts, labels, and which of them are held out, skipped, labeled or still candidates."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
from sqlalchemy import and_, func, or_, select
from sqlalchemy.sql import ColumnElement

from backend.store.sql.database import CHUNK, Database
from backend.store.sql.models import SecondOpinion, Task
from backend.store.texts import LabeledText, Listed, Placed, TaskText, digest

READ_AT_ONCE = 5_000  # rows: of more, the garbage collector would visit each
_TEACHES = Task.truth.is_(False)
HAS_TEXT = Task.digest != digest("")  # without one there is nothing to learn, to suggest or to select
OPEN = (Task.annotated.is_(False), Task.skipped.is_(False), Task.taken.is_(False))
INSIDE = Task.outside.is_(False)  # the option `only` keeps the others out of the queue
FREE = Task.sampled.is_(False)  # labels of a sample that tests the model may not change the model


class TaskQueries:
    """Reads the tasks of one project."""

    def __init__(self, database: Database, project_id: int) -> None:
        self._database = database
        self._id = project_id

    def count(self) -> int:
        """Number of known tasks of the project."""
        return self._count(Task.project_id == self._id)

    def count_annotated(self) -> int:
        """Number of tasks with an annotation that is not a skip."""
        return self._count(Task.project_id == self._id, Task.annotated.is_(True))

    def count_labeled(self) -> int:
        """Number of tasks with a label, held-out ones included."""
        return self._count(Task.project_id == self._id, Task.labeled.is_(True), HAS_TEXT)

    def count_labelable(self) -> int:
        """Number of tasks with a text that have a label or may get one: neither just skipped nor kept out."""
        may_get = Task.skipped.is_(False) & INSIDE
        return self._count(Task.project_id == self._id, HAS_TEXT, or_(Task.annotated, may_get))

    def count_outside(self) -> int:
        """Number of open tasks that the option `only` keeps out of the queue."""
        return self._count(Task.project_id == self._id, *OPEN, HAS_TEXT, Task.outside.is_(True))

    def without_text(self) -> list[int]:
        """The tasks without a text, ordered by id."""
        query = select(Task.id).where(Task.project_id == self._id, ~HAS_TEXT).order_by(Task.id)
        with self._database.read() as session:
            return list(session.scalars(query))

    def count_skipped(self, *, audit: bool) -> int:
        """Number of tasks that are skipped and not annotated: candidates, or held-out ones."""
        mine = (Task.project_id == self._id, Task.audit.is_(audit))
        return self._count(*mine, Task.skipped.is_(True), Task.annotated.is_(False))

    def count_held_out(self) -> int:
        """Number of held-out tasks that are labeled, or open."""
        mine = (Task.project_id == self._id, Task.audit.is_(True), HAS_TEXT)
        return self._count(*mine, Task.labeled.is_(True)) + self.count_waiting(audit=True)

    def count_new_labels(self) -> int:
        """Number of labeled tasks that no round has seen yet."""
        mine = (Task.project_id == self._id, Task.labeled.is_(True), HAS_TEXT, FREE)
        return self._count(*mine, Task.learned_in.is_(None))

    def count_open_tasks(self) -> int:
        """Number of open tasks that may be queued, held-out ones and those of a sample included."""
        return self._count(Task.project_id == self._id, *OPEN, INSIDE, HAS_TEXT)

    def to_label(self, task_ids: Sequence[int]) -> set[int]:
        """The given tasks of a queue that people have not labeled: open ones, and those for a second opinion."""
        again = select(SecondOpinion.task_id).where(SecondOpinion.project_id == self._id, ~SecondOpinion.answered)
        return self._those(task_ids, or_(and_(*OPEN), Task.id.in_(again)))

    def open_ones(self, task_ids: Sequence[int]) -> set[int]:
        """The given tasks that are open: not annotated, not skipped, and without a label of the model."""
        return self._those(task_ids, *OPEN)

    def annotated_ones(self, task_ids: Sequence[int]) -> set[int]:
        """The given tasks that people have labeled or skipped."""
        return self._those(task_ids, or_(Task.annotated, Task.skipped))

    def every(self) -> list[TaskText]:
        """All tasks, ordered by id."""
        return self._texts(Task.project_id == self._id)

    def texts(self, task_ids: Sequence[int]) -> dict[int, TaskText]:
        """The given tasks by id; unknown ones are left out."""
        found: dict[int, TaskText] = {}
        for start in range(0, len(task_ids), CHUNK):
            chunk = self._texts(Task.project_id == self._id, Task.id.in_(task_ids[start : start + CHUNK]))
            found |= {task.id: task for task in chunk}
        return found

    def waiting(self, *, audit: bool) -> list[TaskText]:
        """Open tasks, ordered by id: candidates, or held-out ones."""
        return self._texts(*self._waiting(audit=audit))

    def listed(self) -> Listed:
        """All tasks, without their texts."""
        return self._listed(Task.project_id == self._id)

    def listed_waiting(self, *, audit: bool) -> Listed:
        """Open tasks, without their texts: candidates, or held-out ones."""
        return self._listed(*self._waiting(audit=audit))

    def remaining(self) -> list[TaskText]:
        """All open tasks with a text that may be queued, ordered by id."""
        return self._texts(Task.project_id == self._id, *OPEN, INSIDE, HAS_TEXT)

    def first(self) -> list[int]:
        """The candidates that people put first, in their order."""
        query = select(Task.id).where(*self._waiting(audit=False), Task.first.is_not(None))
        with self._database.read() as session:
            return list(session.scalars(query.order_by(Task.first.desc())))

    def candidates(self, task_ids: Sequence[int]) -> set[int]:
        """The given tasks that can be selected."""
        return self._those(task_ids, *self._waiting(audit=False))

    def sampled(self, *, unlabeled: bool = False) -> list[int]:
        """The tasks of an undecided sample, ordered by id; with `unlabeled`, those that people have to label."""
        query = select(Task.id).where(Task.project_id == self._id, Task.sampled).order_by(Task.id)
        with self._database.read() as session:
            return list(session.scalars(query.where(*OPEN) if unlabeled else query))

    def count_waiting(self, *, audit: bool) -> int:
        """Number of open tasks: candidates, or held-out ones."""
        return self._count(*self._waiting(audit=audit))

    def labeled(self, *, audit: bool, since: int | None = None) -> list[LabeledText]:
        """Labeled tasks, ordered by id: those to train on, or held-out ones. since: only those no earlier round saw."""
        seen = [] if since is None else [or_(Task.learned_in.is_(None), Task.learned_in >= since)]
        which = [*([] if audit else [_TEACHES]), *seen]
        return self._labeled(Task.audit.is_(audit), *which, order=[Task.id])

    def all_labeled(self) -> list[tuple[LabeledText, bool]]:
        """Every labeled task, ordered by id, and whether its label measures or tests the model."""
        measures = or_(Task.audit, Task.truth, Task.sampled)
        query = (
            select(Task.id, Task.text, Task.digest, Task.labels, measures)
            .where(Task.project_id == self._id, Task.labeled.is_(True), HAS_TEXT)
            .order_by(Task.id)
        )
        with self._database.read() as session:
            return [(LabeledText(*row), bool(held_out)) for *row, held_out in session.execute(query)]

    def labels(self) -> list[dict[str, Any]]:
        """The labels of every labeled task, held-out ones included: values by control."""
        query = select(Task.labels).where(Task.project_id == self._id, Task.labeled.is_(True), HAS_TEXT)
        with self._database.read() as session:
            return [labels or {} for labels in session.scalars(query)]

    def placed(self, task_ids: Sequence[int]) -> dict[int, Placed]:
        """What the map shows of each given task; unknown ones are left out."""
        done = or_(Task.annotated, Task.skipped)
        columns = select(Task.id, Task.digest, Task.audit, done, Task.labels, Task.taken).where(
            Task.project_id == self._id
        )
        found: dict[int, Placed] = {}
        with self._database.read() as session:
            for start in range(0, len(task_ids), CHUNK):
                rows = session.execute(columns.where(Task.id.in_(task_ids[start : start + CHUNK])))
                found.update({row[0]: Placed(row[1], row[2], bool(row[3]), row[4], row[5]) for row in rows})
        return found

    def truths(self) -> list[LabeledText]:
        """Labeled tasks with a ground truth to evaluate with, except held-out ones."""
        return self._labeled(Task.audit.is_(False), Task.truth.is_(True), order=[Task.id])

    def chosen(self) -> list[LabeledText]:
        """Labeled training tasks in the order in which rounds first saw them, without those of the first round."""
        later = or_(Task.learned_in.is_(None), Task.learned_in > 1)
        order = [Task.learned_in.is_(None), Task.learned_in, Task.id]
        return self._labeled(Task.audit.is_(False), _TEACHES, later, order=order)

    def first_known(self) -> dict[int, int]:
        """The round that first saw a task's labels, by task id."""
        query = select(Task.id, Task.learned_in).where(Task.project_id == self._id, Task.learned_in.is_not(None))
        with self._database.read() as session:
            return {task_id: number or 0 for task_id, number in session.execute(query)}

    def _labeled(self, *conditions: ColumnElement[bool], order: Sequence[Any]) -> list[LabeledText]:
        query = (
            select(Task.id, Task.text, Task.digest, Task.labels)
            .where(Task.project_id == self._id, Task.labeled.is_(True), HAS_TEXT, FREE, *conditions)
            .order_by(*order)
        )
        with self._database.read() as session:
            return [LabeledText(*row) for row in session.execute(query)]

    def _count(self, *conditions: ColumnElement[bool]) -> int:
        with self._database.read() as session:
            return session.scalar(select(func.count()).select_from(Task).where(*conditions)) or 0

    def _those(self, task_ids: Sequence[int], *conditions: ColumnElement[bool]) -> set[int]:
        found: set[int] = set()
        with self._database.read() as session:
            for start in range(0, len(task_ids), CHUNK):
                chunk = Task.id.in_(task_ids[start : start + CHUNK])
                query = select(Task.id).where(Task.project_id == self._id, *conditions, chunk)
                found.update(session.scalars(query))
        return found

    def _texts(self, *conditions: ColumnElement[bool]) -> list[TaskText]:
        query = select(Task.id, Task.text, Task.digest).where(*conditions).order_by(Task.id)
        with self._database.read() as session:
            return [TaskText(*row) for row in session.execute(query)]

    def _listed(self, *conditions: ColumnElement[bool]) -> Listed:
        query = select(Task.id, Task.digest).where(*conditions).order_by(Task.id)
        with self._database.read() as session:
            found = session.connection().execute(query.execution_options(yield_per=READ_AT_ONCE))
            parts = [np.fromiter(chain.from_iterable(rows), np.int64).reshape(-1, 2) for rows in found.partitions()]
        return Listed(*np.concatenate([np.empty((0, 2), np.int64), *parts]).T.copy())

    def _waiting(self, *, audit: bool) -> tuple[ColumnElement[bool], ...]:
        return (
            Task.project_id == self._id,
            Task.audit.is_(audit),
            *OPEN,
            INSIDE,
            FREE,
            HAS_TEXT,
        )

"""Tasks: texts, labels, and which of them are held out, skipped, labeled or still candidates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.orm import Session
from sqlalchemy.sql import ColumnElement

from backend.store.annotations import replace
from backend.store.sql.database import CHUNK, Database
from backend.store.sql.models import Annotation, Task
from backend.store.texts import LabeledText, Listed, Placed, TaskText, digest, held_out

_READ_AT_ONCE = 50_000  # rows
_TEACHES = Task.truth.is_(False)
_HAS_TEXT = Task.digest != digest("")  # without one there is nothing to learn, to suggest or to select
_OPEN = (Task.annotated.is_(False), Task.skipped.is_(False), Task.taken.is_(False))
_FREE = Task.sampled.is_(False)  # labels of a sample that tests the model may not change the model


class Tasks:
    """The tasks of one project."""

    def __init__(self, database: Database, project_id: int) -> None:
        self._database = database
        self._id = project_id

    def put_texts(self, texts: Iterable[tuple[int, str]], *, seed: int, audit_share: float) -> None:
        """Insert tasks, or update the texts of known ones."""
        rows = [
            {
                "project_id": self._id,
                "id": task_id,
                "text": text,
                "digest": digest(text),
                "audit": held_out(seed, task_id, audit_share),
                "skipped": False,
                "annotated": False,
            }
            for task_id, text in texts
        ]
        with self._database.write(self._id) as session:
            if rows:
                statement = self._database.insert(Task)
                changed = {name: statement.excluded[name] for name in ("text", "digest", "audit")}
                known = statement.on_conflict_do_update(index_elements=["project_id", "id"], set_=changed)
                session.connection().execute(known, rows)

    def put_annotations(
        self,
        states: Iterable[tuple[int, dict[str, Any], bool, bool] | tuple[int, dict[str, Any], bool, bool, bool]],
        annotations: Mapping[int, Sequence[Mapping[str, Any]]] = MappingProxyType({}),
    ) -> None:
        """Store the annotations of tasks in one transaction.

        states: of each task (task id, values by control, annotated, skipped), and whether it has a ground truth to
        evaluate with; left out, that stays. annotations: all of each task, see `annotations.replace`.
        """
        with self._database.write(self._id) as session:
            for task_id, labels, annotated, skipped, *truth in states:
                values: dict[str, object] = {
                    "labels": labels or None, "labeled": bool(labels), "annotated": annotated, "skipped": skipped,
                }  # fmt: skip
                if not labels:
                    values["learned_in"] = None
                if truth:
                    values["truth"] = truth[0]
                session.execute(update(Task).where(Task.project_id == self._id, Task.id == task_id).values(**values))
            replace(session, self._id, annotations)

    def forget_annotations(self, task_ids: Sequence[int]) -> None:
        """Reset these tasks to neither annotated nor skipped, and delete their annotations."""
        nothing = {
            "labels": None,
            "labeled": False,
            "annotated": False,
            "skipped": False,
            "learned_in": None,
            "truth": False,
        }
        answered = or_(Task.annotated.is_(True), Task.skipped.is_(True))
        with self._database.write(self._id) as session:
            for start in range(0, len(task_ids), CHUNK):
                chunk = Task.id.in_(task_ids[start : start + CHUNK])
                session.execute(update(Task).where(Task.project_id == self._id, chunk, answered).values(**nothing))
                _forget_who(session, self._id, task_ids[start : start + CHUNK])

    def keep_only(self, task_ids: set[int]) -> int:
        """Delete all other tasks: Label Studio no longer has them. Returns how many were deleted."""
        with self._database.write(self._id) as session:
            known = session.scalars(select(Task.id).where(Task.project_id == self._id)).all()
            gone = [task_id for task_id in known if task_id not in task_ids]
            for start in range(0, len(gone), CHUNK):
                chunk = gone[start : start + CHUNK]
                session.execute(delete(Task).where(Task.project_id == self._id, Task.id.in_(chunk)))
                _forget_who(session, self._id, chunk)
        return len(gone)

    def count(self) -> int:
        """Number of known tasks of the project."""
        return self._count(Task.project_id == self._id)

    def count_annotated(self) -> int:
        """Number of tasks with an annotation that is not a skip."""
        return self._count(Task.project_id == self._id, Task.annotated.is_(True))

    def count_labeled(self) -> int:
        """Number of tasks with a label, held-out ones included."""
        return self._count(Task.project_id == self._id, Task.labeled.is_(True), _HAS_TEXT)

    def count_labelable(self) -> int:
        """Number of tasks with a text that are not just skipped."""
        return self._count(Task.project_id == self._id, _HAS_TEXT, or_(Task.annotated, Task.skipped.is_(False)))

    def without_text(self) -> list[int]:
        """The tasks without a text, ordered by id."""
        query = select(Task.id).where(Task.project_id == self._id, ~_HAS_TEXT).order_by(Task.id)
        with self._database.read() as session:
            return list(session.scalars(query))

    def count_skipped(self, *, audit: bool) -> int:
        """Number of tasks that are skipped and not annotated: candidates, or held-out ones."""
        mine = (Task.project_id == self._id, Task.audit.is_(audit))
        return self._count(*mine, Task.skipped.is_(True), Task.annotated.is_(False))

    def count_new_labels(self) -> int:
        """Number of labeled tasks that no round has seen yet."""
        mine = (Task.project_id == self._id, Task.labeled.is_(True), _HAS_TEXT, _FREE)
        return self._count(*mine, Task.learned_in.is_(None))

    def count_open_tasks(self) -> int:
        """Number of open tasks, held-out ones and those of a sample included."""
        return self._count(Task.project_id == self._id, *_OPEN, _HAS_TEXT)

    def count_open(self, task_ids: Sequence[int]) -> int:
        """How many of the given tasks are open."""
        return len(self.open_ones(task_ids))

    def open_ones(self, task_ids: Sequence[int]) -> set[int]:
        """The given tasks that are open: not annotated, not skipped, and without a label of the model."""
        return self._those(task_ids, *_OPEN)

    def annotated_ones(self, task_ids: Sequence[int]) -> set[int]:
        """The given tasks that people have labeled or skipped."""
        return self._those(task_ids, or_(Task.annotated, Task.skipped))

    def learned(self, number: int) -> None:
        """Record `number` as the round that first saw all labels that no earlier round has seen."""
        with self._database.write(self._id) as session:
            session.execute(
                update(Task)
                .where(Task.project_id == self._id, Task.labeled.is_(True), Task.learned_in.is_(None), _FREE)
                .values(learned_in=number)
            )

    def unlearned(self, number: int) -> None:
        """Undo `learned`: the round failed."""
        with self._database.write(self._id) as session:
            session.execute(
                update(Task).where(Task.project_id == self._id, Task.learned_in == number).values(learned_in=None)
            )

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
        """All open tasks with a text, ordered by id."""
        return self._texts(Task.project_id == self._id, *_OPEN, _HAS_TEXT)

    def sampled(self, *, unlabeled: bool = False) -> list[int]:
        """The tasks of an undecided sample, ordered by id; with `unlabeled`, those that people have to label."""
        query = select(Task.id).where(Task.project_id == self._id, Task.sampled).order_by(Task.id)
        with self._database.read() as session:
            return list(session.scalars(query.where(*_OPEN) if unlabeled else query))

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
            .where(Task.project_id == self._id, Task.labeled.is_(True), _HAS_TEXT)
            .order_by(Task.id)
        )
        with self._database.read() as session:
            return [(LabeledText(*row), bool(held_out)) for *row, held_out in session.execute(query)]

    def labels(self) -> list[dict[str, Any]]:
        """The labels of every labeled task, held-out ones included: values by control."""
        query = select(Task.labels).where(Task.project_id == self._id, Task.labeled.is_(True), _HAS_TEXT)
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
            .where(Task.project_id == self._id, Task.labeled.is_(True), _HAS_TEXT, _FREE, *conditions)
            .order_by(*order)
        )
        with self._database.read() as session:
            return [LabeledText(*row) for row in session.execute(query)]

    def assign_audit(self, *, seed: int, share: float) -> None:
        """Recompute which tasks are held out, after `seed` or `audit_share` changed."""
        query = select(Task.id, Task.audit).where(Task.project_id == self._id)
        wrong: dict[bool, list[int]] = {False: [], True: []}
        with self._database.read() as session:
            for task_id, audit in session.execute(query.execution_options(yield_per=_READ_AT_ONCE)):
                if held_out(seed, task_id, share) != audit:
                    wrong[audit].append(task_id)
        with self._database.write(self._id) as session:
            for audit, task_ids in wrong.items():
                for start in range(0, len(task_ids), CHUNK):
                    mine = (Task.project_id == self._id, Task.id.in_(task_ids[start : start + CHUNK]))
                    session.execute(update(Task).where(*mine).values(audit=not audit))

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
            found = session.connection().execute(query.execution_options(yield_per=_READ_AT_ONCE))
            columns = [[np.fromiter(column, np.int64, len(rows)) for column in zip(*rows, strict=True)]
                       for rows in found.partitions()]  # fmt: skip
        nothing = np.empty(0, np.int64)
        return Listed(*(np.concatenate([nothing, *parts]) for parts in zip((nothing, nothing), *columns, strict=True)))

    def _waiting(self, *, audit: bool) -> tuple[ColumnElement[bool], ...]:
        return (
            Task.project_id == self._id,
            Task.audit.is_(audit),
            *_OPEN,
            _FREE,
            _HAS_TEXT,
        )


def _forget_who(session: Session, project_id: int, task_ids: Sequence[int]) -> None:
    session.execute(delete(Annotation).where(Annotation.project_id == project_id, Annotation.task_id.in_(task_ids)))

"""Tasks: texts, their labels, and what becomes of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.orm import Session

from backend.store import second_opinions
from backend.store.annotations import replace
from backend.store.sql.database import CHUNK
from backend.store.sql.models import Annotation, Task
from backend.store.task_queries import FREE, READ_AT_ONCE, TaskQueries
from backend.store.texts import digest, held_out


class Tasks(TaskQueries):
    """The tasks of one project."""

    def put_texts(
        self, texts: Iterable[tuple[int, str]], *, seed: int, audit_share: float, outside: Collection[int] = ()
    ) -> None:
        """Insert tasks, or update the texts of known ones. outside: those that stay out of the queue."""
        rows = [
            {
                "project_id": self._id,
                "id": task_id,
                "text": text,
                "digest": digest(text),
                "audit": held_out(seed, task_id, audit_share),
                "outside": task_id in outside,
                "skipped": False,
                "annotated": False,
            }
            for task_id, text in texts
        ]
        with self._database.write(self._id) as session:
            if rows:
                statement = self._database.insert(Task)
                changed = {name: statement.excluded[name] for name in ("text", "digest", "audit", "outside")}
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
            second_opinions.came(
                session, self._id, {task: _annotators(of_task) for task, of_task in annotations.items()}
            )

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

    def put_first(self, task_ids: Sequence[int]) -> None:
        """Put these tasks before all that were put first earlier; none: no task comes first any more."""
        mine = Task.project_id == self._id
        with self._database.write(self._id) as session:
            if not task_ids:
                session.execute(update(Task).where(mine, Task.first.is_not(None)).values(first=None))
            last = session.scalar(select(func.max(Task.first)).where(mine)) or 0
            for place, task_id in enumerate(reversed(task_ids), start=last + 1):
                session.execute(update(Task).where(mine, Task.id == task_id).values(first=place))

    def learned(self, number: int) -> None:
        """Record `number` as the round that first saw all labels that no earlier round has seen."""
        with self._database.write(self._id) as session:
            session.execute(
                update(Task)
                .where(Task.project_id == self._id, Task.labeled.is_(True), Task.learned_in.is_(None), FREE)
                .values(learned_in=number)
            )
            second_opinions.learned(session, self._id, number)

    def unlearned(self, number: int) -> None:
        """Undo `learned`: the round failed."""
        with self._database.write(self._id) as session:
            session.execute(
                update(Task).where(Task.project_id == self._id, Task.learned_in == number).values(learned_in=None)
            )
            second_opinions.unlearned(session, self._id, number)

    def assign_audit(self, *, seed: int, share: float) -> None:
        """Recompute which tasks are held out, after `seed` or `audit_share` changed."""
        query = select(Task.id, Task.audit).where(Task.project_id == self._id)
        wrong: dict[bool, list[int]] = {False: [], True: []}
        with self._database.read() as session:
            for task_id, audit in session.execute(query.execution_options(yield_per=READ_AT_ONCE)):
                if held_out(seed, task_id, share) != audit:
                    wrong[audit].append(task_id)
        with self._database.write(self._id) as session:
            for audit, task_ids in wrong.items():
                for start in range(0, len(task_ids), CHUNK):
                    mine = (Task.project_id == self._id, Task.id.in_(task_ids[start : start + CHUNK]))
                    session.execute(update(Task).where(*mine).values(audit=not audit))


def _forget_who(session: Session, project_id: int, task_ids: Sequence[int]) -> None:
    session.execute(delete(Annotation).where(Annotation.project_id == project_id, Annotation.task_id.in_(task_ids)))
    second_opinions.forget(session, project_id, task_ids)


def _annotators(annotations: Sequence[Mapping[str, Any]]) -> int:
    """How many people have labeled a task."""
    return len({each["annotator"] for each in annotations if not each["skipped"]})

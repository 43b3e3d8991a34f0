"""Annotations per annotator: labels and the time taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import case, delete, func, insert, select
from sqlalchemy.orm import Session

from backend.store.sql.database import CHUNK, Database
from backend.store.sql.models import Annotation


def replace(session: Session, project_id: int, by_task: Mapping[int, Sequence[Mapping[str, Any]]]) -> None:
    """Replace all annotations of these tasks. Each is a mapping of columns without `project_id` and `task_id`."""
    rows = [
        {"project_id": project_id, "task_id": task_id, **columns}
        for task_id, annotations in by_task.items()
        for columns in annotations
    ]
    # By annotation id, too: merging duplicates moves annotations to another task.
    gone = ((Annotation.task_id, list(by_task)), (Annotation.id, [row["id"] for row in rows]))
    for column, numbers in gone:
        for start in range(0, len(numbers), CHUNK):
            chunk = column.in_(numbers[start : start + CHUNK])
            session.execute(delete(Annotation).where(Annotation.project_id == project_id, chunk))
    for start in range(0, len(rows), CHUNK):
        session.execute(insert(Annotation).values(rows[start : start + CHUNK]))


class Given(NamedTuple):
    """What people have done of a task."""

    people: int  # who labeled it
    labels: int  # of all of them, several by one included
    seen: int  # who labeled or skipped it


class Annotations:
    """The annotations of one project, skips included."""

    def __init__(self, database: Database, project_id: int) -> None:
        self._database = database
        self._id = project_id

    def all(self) -> list[Annotation]:
        """All annotations except skips, ordered by task."""
        query = (
            select(Annotation)
            .where(Annotation.project_id == self._id, Annotation.skipped.is_(False))
            .order_by(Annotation.task_id, Annotation.id)
        )
        with self._database.read() as session:
            return list(session.scalars(query))

    def of_several(self) -> list[Annotation]:
        """The annotations, without skips, of tasks that more than one person has labeled, ordered by task."""
        labeled = (Annotation.project_id == self._id, Annotation.skipped.is_(False))
        people = func.count(Annotation.annotator.distinct())
        several = select(Annotation.task_id).where(*labeled).group_by(Annotation.task_id).having(people > 1)
        query = select(Annotation).where(*labeled, Annotation.task_id.in_(several))
        with self._database.read() as session:
            return list(session.scalars(query.order_by(Annotation.task_id, Annotation.id)))

    def given(self, task_ids: Sequence[int]) -> dict[int, Given]:
        """By task, how much people have done of it; tasks without an annotation or a skip are left out."""
        labeled = case((Annotation.skipped, None), else_=Annotation.annotator)
        found: dict[int, Given] = {}
        with self._database.read() as session:
            for start in range(0, len(task_ids), CHUNK):
                query = (
                    select(
                        Annotation.task_id,
                        func.count(labeled.distinct()),
                        func.sum(case((Annotation.skipped, 0), else_=1)),
                        func.count(Annotation.annotator.distinct()),
                    )
                    .where(Annotation.project_id == self._id, Annotation.task_id.in_(task_ids[start : start + CHUNK]))
                    .group_by(Annotation.task_id)
                )
                found |= {task_id: Given(*rest) for task_id, *rest in session.execute(query)}
        return found

    def by_annotator(self) -> list[tuple[int | None, int, int, int, float]]:
        """Per annotator: id, annotations, skips, how many of both have a time, and their total time in seconds."""
        skips = func.sum(case((Annotation.skipped, 1), else_=0))
        timed = func.count(Annotation.seconds)
        query = (
            select(Annotation.annotator, func.count() - skips, skips, timed, func.sum(Annotation.seconds))
            .where(Annotation.project_id == self._id)
            .group_by(Annotation.annotator)
            .order_by(func.count().desc(), Annotation.annotator)
        )
        with self._database.read() as session:
            return [(who, given, no, n, float(seconds or 0.0)) for who, given, no, n, seconds in session.execute(query)]

    def hours(self) -> float:
        """Total annotation time in hours, skips included, as far as Label Studio recorded it."""
        query = select(func.sum(Annotation.seconds)).where(Annotation.project_id == self._id)
        with self._database.read() as session:
            return float(session.scalar(query) or 0.0) / 3600.0

    def count_timed(self) -> int:
        """Number of labeled tasks whose time Label Studio recorded."""
        timed = (Annotation.skipped.is_(False), Annotation.seconds.is_not(None))
        query = select(func.count(Annotation.task_id.distinct())).where(Annotation.project_id == self._id, *timed)
        with self._database.read() as session:
            return int(session.scalar(query) or 0)

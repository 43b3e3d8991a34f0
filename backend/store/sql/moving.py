"""Copy the SQLite state to PostgreSQL in one transaction."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Table, func, insert, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from backend.errors import BackendError
from backend.store import Store
from backend.store.backup import nobody_at_work
from backend.store.sql.database import Database
from backend.store.sql.models import AuditEntry, Base, Event, Project, Round, Worker

_ROWS = 1000  # per INSERT
_STAYS = (Worker.__tablename__,)  # not copied: workers register themselves


def move(folder: Path, url: str) -> dict[str, int]:
    """Copy the state in `folder` to the empty database at `url`, in one transaction. Returns the rows per table.

    The data in `folder` stays; adapter files are used where they are. The source is locked against writes meanwhile.
    Raises `BackendError` if a worker runs on `folder`, a round is under way, or the target database is not empty.
    """
    target = Database(url)
    if target.file is not None:
        raise BackendError("only PostgreSQL can be moved to; expected postgresql://user:password@host:5432/name")
    if not (folder / "state.sqlite3").exists():
        raise BackendError(f"there is no state in {folder}; set MODEL_DIR to the backend's folder")
    with nobody_at_work(folder):
        source = Store(folder).database
        source.migrate()
        target.migrate()
        with source.write() as theirs, target.write() as ours:
            _refuse_under_way(theirs)
            _refuse_taken(ours, target)
            moved = {table.name: _copy(table, theirs, ours) for table in _tables()}
            _number_on(theirs, ours)
    source.close()
    target.close()
    return moved


def _tables() -> list[Table]:
    return [table for table in Base.metadata.sorted_tables if table.name not in _STAYS]


def _refuse_under_way(session: Session) -> None:
    query = select(Round.project_id, Round.number).join(Project, Project.id == Round.project_id)
    for project_id, number in session.execute(query.where(Round.state == "running", Project.connected)):
        raise BackendError(
            f"round {number} of project {project_id} is under way; start the worker, wait until the round has ended, "
            "stop web server and worker, and try again"
        )


def _refuse_taken(session: Session, target: Database) -> None:
    taken = [table.name for table in _tables() if session.scalar(select(func.count()).select_from(table))]
    if taken:
        raise BackendError(
            f"the database {target.url.database} on {target.url.host} holds a state already ({', '.join(taken)}); "
            "name an empty one"
        )


def _copy(table: Table, source: Session, target: Session) -> int:
    rows = source.execute(select(table).execution_options(yield_per=_ROWS)).mappings()
    for chunk in rows.partitions(_ROWS):
        try:
            target.execute(insert(table), [dict(row) for row in chunk])
        except DBAPIError as error:
            reason = str(error.orig).splitlines()[0]
            raise BackendError(f"rows of {table.name} cannot be moved ({reason}); nothing was moved") from None
    count = select(func.count()).select_from(table)
    there, here = source.scalar(count) or 0, target.scalar(count) or 0
    if there != here:
        raise BackendError(f"{here} of {there} rows of {table.name} arrived; nothing was moved")
    return there


def _number_on(source: Session, target: Session) -> None:
    """Continue the ids of events and of the audit trail: `event_mark` may be higher than the id of any event there."""
    for table in (Event.__tablename__, AuditEntry.__tablename__):
        last = source.scalar(text("SELECT seq FROM sqlite_sequence WHERE name = :table"), {"table": table})
        if last:
            target.execute(
                text("SELECT setval(pg_get_serial_sequence(:table, 'id'), :last)"), {"table": table, "last": last}
            )

"""The audit trail: actions, downloads and failed sign-ins."""

from __future__ import annotations

import time
from collections.abc import Sequence

from sqlalchemy import delete, or_, select

from backend.store.sql.database import Database
from backend.store.sql.models import AuditEntry

COMMAND_LINE = "command line"
FAILED_SIGN_IN = "failed sign-in"
_MOST = 100_000  # entries; the oldest are deleted
_MOST_SIGN_INS = 1000  # of failed sign-ins, which strangers cause
_LONGEST = 200  # characters of a user and of a detail


class Audit:
    """The entries of all projects."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, action: str, project_id: int | None, *, user: str, origin: str, detail: str = "") -> None:
        """Record an action. Committed on return. detail: what was chosen; never a secret or a text."""
        entry = AuditEntry(
            at=time.time(), user=user[:_LONGEST], origin=origin, action=action, project_id=project_id,
            detail=detail[:_LONGEST],
        )  # fmt: skip
        with self._database.write() as session:
            session.add(entry)
            session.flush()
            session.execute(delete(AuditEntry).where(AuditEntry.id <= entry.id - _MOST))
            if action == FAILED_SIGN_IN:
                failed = select(AuditEntry.id).where(AuditEntry.action == FAILED_SIGN_IN)
                oldest = session.scalar(failed.order_by(AuditEntry.id.desc()).offset(_MOST_SIGN_INS).limit(1))
                session.execute(
                    delete(AuditEntry).where(AuditEntry.action == FAILED_SIGN_IN, AuditEntry.id <= (oldest or 0))
                )

    def newest(self, project_id: int, most: int) -> Sequence[AuditEntry]:
        """The last entries of a project and those of none, such as failed sign-ins; newest first."""
        here = or_(AuditEntry.project_id == project_id, AuditEntry.project_id.is_(None))
        with self._database.read() as session:
            return session.scalars(select(AuditEntry).where(here).order_by(AuditEntry.id.desc()).limit(most)).all()

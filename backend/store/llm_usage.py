"""Calls of language models on a server, and their tokens."""

from __future__ import annotations

from sqlalchemy import func, select, update

from backend.store.sql.database import Database
from backend.store.sql.models import LlmUsage


class Usage:
    """What one project has sent, by model."""

    def __init__(self, database: Database, project_id: int) -> None:
        self._database = database
        self._id = project_id

    def reserve(self, model: str, calls: int, most: int | None) -> bool:
        """Count calls before they are sent, unless all calls of the project would be more than `most`."""
        mine = LlmUsage.project_id == self._id
        with self._database.write(self._id) as session:
            session.execute(self._database.insert(LlmUsage).values(
                project_id=self._id, model=model, calls=0, input_tokens=0, output_tokens=0, seconds=0.0,
            ).on_conflict_do_nothing(index_elements=["project_id", "model"]))  # fmt: skip
            of_all = session.scalar(select(func.sum(LlmUsage.calls)).where(mine)) or 0
            if most is not None and of_all + calls > most:
                return False
            row = (mine, LlmUsage.model == model)
            session.execute(update(LlmUsage).where(*row).values(calls=LlmUsage.calls + calls))
        return True

    def add(self, model: str, input_tokens: int, output_tokens: int, seconds: float, unsent: int = 0) -> None:
        """Add the tokens of reserved calls, as the server counts them, and the time that they took together.

        unsent: how many reserved calls were not sent after all.
        """
        where = (LlmUsage.project_id == self._id, LlmUsage.model == model)
        values = {
            "input_tokens": LlmUsage.input_tokens + input_tokens,
            "output_tokens": LlmUsage.output_tokens + output_tokens,
            "seconds": LlmUsage.seconds + seconds,
            "calls": LlmUsage.calls - unsent,
        }
        with self._database.write(self._id) as session:
            session.execute(update(LlmUsage).where(*where).values(**values))

    def all(self) -> list[LlmUsage]:
        """By model."""
        query = select(LlmUsage).where(LlmUsage.project_id == self._id).order_by(LlmUsage.model)
        with self._database.read() as session:
            return list(session.scalars(query))

    def calls(self) -> int:
        """Of all models."""
        return sum(each.calls for each in self.all())

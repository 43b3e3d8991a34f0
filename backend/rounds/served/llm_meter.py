"""Counts what a project sends to a language model on a server, and keeps it within the option `llm_budget`."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress

from sqlalchemy.exc import SQLAlchemyError

from backend.errors import BudgetError
from backend.learners.served.server import Tokens
from backend.store import Store

log = logging.getLogger(__name__)

EXCEEDED = "would exceed llm_budget"  # part of the message


class LlmMeter:
    """Of one project and model. budget: gives the most calls of the project, of all models; None: no limit."""

    def __init__(self, store: Store, project_id: int, model: str, budget: Callable[[], int | None]) -> None:
        self._usage = store.of(project_id).llm_usage
        self._project, self._model, self._budget = project_id, model, budget

    def reserve(self, calls: int) -> None:
        """Count calls that are sent next. Raises `BudgetError` if they are more than the budget allows."""
        budget = self._budget()
        try:
            granted = self._usage.reserve(self._model, calls, budget)
        except SQLAlchemyError as error:
            if budget is not None:
                raise BudgetError(f"project {self._project}: llm_budget cannot be checked ({error.args[0]})") from None
            log.warning("project %d: calls of '%s' are not counted (%s)", self._project, self._model, error.args[0])
            return
        if not granted:
            raise BudgetError(
                f"project {self._project}: {calls} calls of '{self._model}' {EXCEEDED} ({budget}, of which "
                f"{self._usage.calls()} are used); raise it in Extra params, or choose another model"
            )

    def used(self, tokens: Tokens, seconds: float, unsent: int = 0) -> None:
        """Add what reserved calls took. unsent: how many of them were not sent."""
        with suppress(SQLAlchemyError):  # the answers are there
            self._usage.add(self._model, tokens.input, tokens.output, seconds, unsent)

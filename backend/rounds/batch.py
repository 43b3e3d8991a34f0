"""The batch of labels that starts the next round."""

from __future__ import annotations

from backend.rounds.events import CANCELLED
from backend.store.sql.models import Round
from backend.store.tasks import Tasks


def labels_of_batch(tasks: Tasks, last: Round | None) -> int:
    """Labels that count towards the next round: those not learned, or those since a person cancelled the last round."""
    new = tasks.count_new_labels()
    if last is None or not was_cancelled(last):
        return new
    return min(new, max(0, tasks.count_labeled() - last.labels))


def was_cancelled(last: Round) -> bool:
    """Whether a person cancelled the round; its project waits for another batch."""
    return (last.state, last.error) == ("cancelled", CANCELLED)

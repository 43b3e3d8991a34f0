"""The batch of labels that starts the next round."""

from __future__ import annotations

from backend.rounds.events import CANCELLED
from backend.store import ProjectStore
from backend.store.sql.models import Round


def labels_of_batch(project: ProjectStore, last: Round | None) -> int:
    """Labels that count towards the next round: those not learned, or those since a person cancelled the last round."""
    new = project.tasks.count_new_labels()
    if last is not None and was_cancelled(last):  # second opinions then wait for it, too
        return min(new, max(0, project.tasks.count_labeled() - last.labels))
    return new + project.second_opinions.count_new()


def was_cancelled(last: Round) -> bool:
    """Whether a person cancelled the round; its project waits for another batch."""
    return (last.state, last.error) == ("cancelled", CANCELLED)

"""Second opinions in Label Studio: it serves a labeled task to other annotators while its overlap is one higher."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence

from backend.errors import LabelStudioError
from backend.rounds.context import ProjectRun

log = logging.getLogger(__name__)


def request(run: ProjectRun, task_ids: Sequence[int]) -> None:
    """Have these labeled tasks served once more, to other annotators. May be killed and repeated.

    Each is recorded before, so that it can be given back.
    """
    given = run.annotations.given(task_ids)
    run.second_opinions.request({task_id: given[task_id].people + 1 for task_id in task_ids if task_id in given})
    waiting = run.second_opinions.waiting()
    for task_id in run.second_opinions.not_raised():
        if _set_overlap(run, task_id, waiting[task_id], labeled=False) is not None:
            run.second_opinions.raised(task_id)


def give_back(run: ProjectRun, overlap: int, keep: Collection[int] = ()) -> None:
    """Have tasks that wait for a second opinion count as labeled again, except those to keep. May be repeated.

    overlap: of the project, which answered ones get back, too.
    """
    for task_id in run.second_opinions.answered_raised():
        _set_overlap(run, task_id, overlap, labeled=True)
        run.second_opinions.raised(task_id, now=False)
    others = [task_id for task_id in run.second_opinions.waiting() if task_id not in keep]
    given = run.annotations.given(others)
    unanswered = []
    for task_id in others:
        known = given.get(task_id)
        enough = known is not None and known.people >= overlap
        there = _set_overlap(run, task_id, overlap, labeled=enough)
        if there is None or known is None or there <= known.labels:  # or the next sync reads the answer
            unanswered.append(task_id)
    run.second_opinions.withdraw(unanswered)


def _set_overlap(run: ProjectRun, task_id: int, number: int, *, labeled: bool) -> int | None:
    """The number of annotations of the task; None if it no longer exists."""
    try:
        return run.client.set_overlap(task_id, number, labeled=labeled)
    except LabelStudioError as error:
        if error.status != 404:
            raise
        log.info("project %d: task %d was deleted in Label Studio", run.id, task_id)
        return None

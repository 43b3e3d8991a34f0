"""Repeat a heavy step with smaller batches after it ran out of memory, or was killed for it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from backend.errors import ModelError
from backend.learners.models import memory
from backend.learners.models.loading import is_served
from backend.rounds.context import ProjectRun

log = logging.getLogger(__name__)

TRIES = 3
_T = TypeVar("_T")


def with_less_memory(step: str, function: Callable[[ProjectRun], _T], run: ProjectRun) -> _T:
    """Call `function`, after each failure with batches halved once more. Raises `ModelError` after the third.

    Tries are counted in the store before they begin: a process killed for its memory, or ended because the step hung
    (`Computing`), leaves no other trace than a step that began and did not end. A try begins once it has the turn to
    compute: only one step computes at a time, so a kill is counted for the step that caused it. The size that fitted is
    stored for later rounds. An orderly stop of the worker does not count as a try.
    """
    if is_served(run.options.base_model):  # a server computes elsewhere and may take long
        return function(run)
    with run.alone(step):
        enough = int(run.fresh().project.halvings.get(step, 0))
        while (tries := run.rounds.begin_try(run.round.number, step)) <= TRIES:
            shrink = enough + tries - 1
            if tries > 1:
                log.warning(
                    "project %d, round %d: '%s' is tried again with batches halved %d times, since it ran out of "
                    "memory, hung, or the process was killed", run.id, run.round.number, step, shrink,
                )  # fmt: skip
            try:
                done = function(replace(run, batch_shrink=shrink))
            except (MemoryError, RuntimeError) as error:
                if not memory.ran_out(error):
                    raise
            else:
                if tries > 1:
                    _remember(run, step, shrink)
                return done
            finally:
                memory.trim()
            memory.release()  # only after running out of memory, when the error no longer refers to the batch
        _remember(run, step, enough + TRIES - 1)  # the next round begins where this one ended
    raise ModelError(
        f"the step '{step}' ran out of memory, hung, or was killed, {TRIES} times, in the end with batches halved "
        f"{enough + TRIES - 1} times: give the worker more memory, or choose a smaller base_model, max_length or "
        "train_batch_size, or another strategy, in extra_params; the worker's log shows which it was"
    )


def _remember(run: ProjectRun, step: str, shrink: int) -> None:
    known = run.fresh().project.halvings
    run.store.projects.set(run.id, halvings={**known, step: shrink})

"""Heavy steps again with less memory, when they ran out of it or were killed for want of it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from backend.errors import ModelError
from backend.learners import memory
from backend.store import Store

log = logging.getLogger(__name__)

TRIES = 3
_T = TypeVar("_T")


def with_less_memory(store: Store, project_id: int, number: int, step: str, run: Callable[[int], _T]) -> _T:
    """Call `run(0)`, then `run(1)`, `run(2)`: how often batches are to be halved. Raises `ModelError` after the third.

    Tries are counted in the store before they begin, since a process that the system kills for its memory says nothing:
    the step is found begun, and not ended, after the next start. A worker that is stopped in good order is forgiven.
    """
    while (tries := store.rounds.begin_try(project_id, number, step)) <= TRIES:
        if tries > 1:
            log.warning(
                "project %d, round %d: '%s' is tried again with batches halved %d times, since it ran out of memory or "
                "the process was killed", project_id, number, step, tries - 1,
            )  # fmt: skip
        try:
            return run(tries - 1)
        except (MemoryError, RuntimeError) as error:
            if not memory.ran_out(error):
                raise
        memory.release()
    raise ModelError(
        f"the step '{step}' ran out of memory, or was killed, {TRIES} times, in the end with a quarter of its batch: "
        "give the worker more memory, or choose a smaller base_model, max_length or train_batch_size in extra_params"
    )

"""Heavy steps again with less memory, when they ran out of it or were killed for want of it; and what may fail."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import nullcontext
from typing import TypeVar

from backend.errors import FencedError, ModelError
from backend.learners import memory
from backend.learners.loading import is_served
from backend.rounds.context import Context, options_of

log = logging.getLogger(__name__)

TRIES = 3
_T = TypeVar("_T")


def attempt(project_id: int, what: str, run: Callable[[], _T]) -> _T | None:
    """What `run` gives; None, and a word in the log, if it fails: it is no reason to go without a model."""
    try:
        return run()
    except FencedError:
        raise
    except Exception:
        log.exception("project %d: it could not be told %s", project_id, what)
        return None


def with_less_memory(context: Context, project_id: int, number: int, step: str, run: Callable[[int], _T]) -> _T:
    """Call `run` with how often batches are to be halved, once more with each try. `ModelError` after the third.

    Tries are counted in the store before they begin, since a process that the system kills for its memory says nothing:
    the step is found begun, and not ended, after the next start. They begin when it is this project's turn to compute,
    so that none is blamed for another. What was small enough is remembered for later rounds. A worker that is stopped
    in good order is forgiven.
    """
    store = context.store
    served = is_served(options_of(context.project(project_id)).base_model)
    with nullcontext() if served else context.computing:  # a server computes elsewhere, and may be long about it
        enough = int(context.project(project_id).halvings.get(step, 0))
        while (tries := store.rounds.begin_try(project_id, number, step)) <= TRIES:
            halvings = enough + tries - 1
            if tries > 1:
                log.warning(
                    "project %d, round %d: '%s' is tried again with batches halved %d times, since it ran out of "
                    "memory or the process was killed", project_id, number, step, halvings,
                )  # fmt: skip
            try:
                done = run(halvings)
            except (MemoryError, RuntimeError) as error:
                if not memory.ran_out(error):
                    raise
            else:
                if tries > 1:
                    _remember(context, project_id, step, halvings)
                return done
            finally:
                memory.release()
        _remember(context, project_id, step, enough + TRIES - 1)  # the next round begins where this one ended
    raise ModelError(
        f"the step '{step}' ran out of memory, or was killed, {TRIES} times, in the end with batches halved "
        f"{enough + TRIES - 1} times: give the worker more memory, or choose a smaller base_model, max_length or "
        "train_batch_size in extra_params"
    )


def _remember(context: Context, project_id: int, step: str, halvings: int) -> None:
    known = context.project(project_id).halvings
    context.store.projects.set(project_id, halvings={**known, step: halvings})

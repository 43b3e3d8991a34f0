"""What is retried, how often and after which pauses: a step that calls Label Studio, and a failed round.

Single calls to Label Studio are retried inside a step, see labelstudio/api/transport.py; memory, see out_of_memory.py.
"""

from __future__ import annotations

from dbos import StepOptions

from backend.backoff import delay
from backend.errors import LabelStudioError

_ATTEMPTS = 3
_FIRST_PAUSE, _FACTOR = 1.0, 3.0  # seconds between attempts of a step, and how they grow
_PAUSE, _LONGEST_PAUSE = 30.0, 3600.0  # seconds between a failed round and the next


def step_options(name: str, *, retries: bool) -> StepOptions:
    """The options of a durable step; retries: whether it is repeated after errors of Label Studio that may pass."""
    if not retries:
        return {"name": name}
    return {
        "name": name, "retries_allowed": True, "max_attempts": _ATTEMPTS, "interval_seconds": _FIRST_PAUSE,
        "backoff_rate": _FACTOR, "should_retry": _may_pass,
    }  # fmt: skip


def pause_after(failures: int) -> float:
    """Seconds between the last of several failed rounds in a row and the next round."""
    return delay(failures, _PAUSE, _LONGEST_PAUSE)


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, LabelStudioError) and error.passing

"""While a round computes: labels that arrive are read, and the queue follows them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from backend.errors import BackendError, FencedError
from backend.learners.models.cache import BaseModels
from backend.rounds.context import ProjectRun
from backend.rounds.steps import react, sync

log = logging.getLogger(__name__)

_EVERY = 3.0  # seconds between checks for events, at least
_TIMES = 3.0  # and at least so many times as long as the last labels took, so that the round goes on
_AFTER_ERROR = 60.0  # seconds until the next check


def watch(run: ProjectRun) -> Callable[[], None]:
    """A function for a long computation to call often: now and then it handles the labels that have arrived.

    It runs in the thread of the computation, so that only one queue is published at a time. The base model is at work
    meanwhile, so that only stored vectors are used.
    """
    seen, pause, checked, busy = run.events["mark"], _EVERY, time.monotonic(), False

    def check() -> None:
        nonlocal seen, pause, checked, busy
        if busy or time.monotonic() - checked < pause:
            return
        began, busy = time.monotonic(), True
        try:
            newest = run.store.events.newest().get(run.id, 0)
            if newest > seen and may_react(run):
                _handle(run)
            seen, pause = max(seen, newest), max(_EVERY, _TIMES * (time.monotonic() - began))
        except FencedError:
            raise
        except BackendError as error:  # the round handles them later
            pause = _AFTER_ERROR
            log.info("project %d: new labels wait for the end of the round: %s", run.id, error)
        except Exception:
            pause = _AFTER_ERROR
            log.exception("project %d: new labels wait for the end of the round", run.id)
        finally:
            checked, busy = time.monotonic(), False

    return check


def may_react(run: ProjectRun) -> bool:
    """Whether the adapter in service is one from before the round, whose head can follow labels."""
    if run.number is None or run.accelerate_config is not None or not run.options.react:
        return False
    return run.fresh().project.adapter not in (0, run.version)


def _handle(run: ProjectRun) -> None:
    run = replace(run, models=_Stored(run.models))  # type: ignore[arg-type] # it has what stored vectors need
    sync.read_labels(run)
    if react.is_due(run := run.fresh()):
        react.follow(run)


class _Stored:
    """In place of the base models: what stored embeddings are named by. Computes nothing."""

    def __init__(self, models: BaseModels) -> None:
        self._models = models

    def embedder(self, name: str) -> Any:
        """The name and the usage of a base model."""
        base = self._models.embedder(name)
        return SimpleNamespace(name=base.name, usage=base.usage, embed=_refuse)


def _refuse(*_: Any, **__: Any) -> Any:
    raise BackendError("new texts must be embedded first, and the base model is at work")

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

_EVERY = 3.0  # seconds between checks for events


def watch(run: ProjectRun) -> Callable[[], None]:
    """A function for a long computation to call often: now and then it handles the labels that have arrived.

    It runs in the thread of the computation, so that only one queue is published at a time. The base model is at work
    meanwhile, so that only stored vectors are used.
    """
    seen, checked, busy = run.events["mark"], time.monotonic(), False

    def check() -> None:
        nonlocal seen, checked, busy
        if busy or time.monotonic() - checked < _EVERY:
            return
        checked, busy = time.monotonic(), True
        try:
            newest = run.store.events.newest().get(run.id, 0)
            if newest > seen and may_react(run):
                _handle(run)
            seen = max(seen, newest)
        except FencedError:
            raise
        except BackendError as error:  # the round handles them later
            log.info("project %d: new labels wait for the end of the round: %s", run.id, error)
        except Exception:
            log.exception("project %d: new labels wait for the end of the round", run.id)
        finally:
            checked, busy = time.monotonic(), False

    return check


def may_react(run: ProjectRun) -> bool:
    """Whether there is an adapter whose head can follow labels while the round computes."""
    return run.number is not None and run.accelerate_config is None and run.options.react and bool(run.project.adapter)


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

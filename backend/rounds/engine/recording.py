"""Perform a step: record its begin and seconds, retry with less memory, go on after failures of optional steps."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from backend.errors import ModelError
from backend.rounds.context import ProjectRun
from backend.rounds.engine.out_of_memory import with_less_memory
from backend.rounds.engine.step_order import Step
from backend.rounds.events import CANCELLED

log = logging.getLogger(__name__)


def perform(step: Step, run: ProjectRun) -> Any:
    """Run a step with the project's current settings. Safe to repeat. Returns what a later step needs."""
    run = run.fresh()
    if not step.applies(run):
        return None
    if not step.recorded:
        return _perform(step, run)
    if step.cancellable:
        run.require_wanted()
    with _recorded(step, run):
        return _perform(step, run)


def after(step: Step, run: ProjectRun, result: Any) -> ProjectRun:
    """The `ProjectRun` with the result of a step."""
    return replace(run, **{step.result: result}) if step.result is not None else run


def _perform(step: Step, run: ProjectRun) -> Any:
    for part in step.parts:
        if part.applies(current := run.fresh()):  # an earlier part may have waited long
            _perform(part, current)
    if step.run is None:
        return None
    if step.optional is not None:
        required = replace(step, optional=None)
        return run.attempt(step.optional, lambda: _perform(required, run))
    return with_less_memory(step.name, step.run, run) if step.shrinks_batches else step.run(run)


@contextmanager
def _recorded(step: Step, run: ProjectRun) -> Iterator[None]:
    started, number = time.monotonic(), run.round.number
    run.rounds.set(number, step=step.name, progress=None)
    try:
        yield
    except ModelError:  # every later round would repeat a rollback to an adapter that cannot be used
        if (back_to := run.round.back_to) is not None:
            run.store.projects.forget_back_to(run.id, back_to)
        raise
    run.rounds.took(number, step.name, time.monotonic() - started)


def cancel(run: ProjectRun, message: str) -> None:
    """End a round that is no longer wanted. Its labels are still to be learned; nothing waits as after a failure."""
    log.info("project %d, round %s is cancelled: %s", run.id, run.number or "(not begun)", message)
    run.store.projects.set(run.id, synced_at=time.time())
    if run.number is not None and run.round.state == "running":
        labels = run.tasks.count_labeled()  # a person who cancelled has peace until the next batch
        run.rounds.set(run.number, state="cancelled", finished_at=time.time(), error=message, labels=labels)
        if message == CANCELLED and (back_to := run.round.back_to) is not None:
            run.store.projects.forget_back_to(run.id, back_to)
        _unlearn(run)


def pause_and_fail(run: ProjectRun, message: str) -> None:
    """End a round whose computation took too long; another one starts once the project is resumed."""
    run.store.projects.set(run.id, paused=True)
    fail(run, message)


def fail(run: ProjectRun, message: str) -> None:
    """Record a failure. The former adapter and queue stay in service, and the timer starts another round."""
    known = run.store.projects.get(run.id)
    repeated = known is not None and known.error == message  # logged before; it repeats each minute while it lasts
    level = logging.DEBUG if repeated and run.number is None else logging.ERROR
    log.log(level, "project %d, round %s failed: %s", run.id, run.number or "(not begun)", message)
    # A failed sync counts as a sync, so that the next one waits for the timer or an event.
    run.store.projects.set(run.id, error=message, synced_at=time.time())
    if run.number is not None:
        run.rounds.set(run.number, state="failed", finished_at=time.time(), error=message)
        _unlearn(run)


def _unlearn(run: ProjectRun) -> None:
    """Count the round's labels as new, unless its adapter, which knows them, is in service."""
    assert run.number is not None
    known = run.store.projects.get(run.id)
    if not run.version or (known is not None and known.adapter != run.version):
        run.tasks.unlearned(run.number)

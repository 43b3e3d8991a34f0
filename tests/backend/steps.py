"""Single steps of a round, called as the workflow calls them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

import pytest

from backend.rounds.context import Context, ProjectRun
from backend.rounds.engine import recording, workflow
from backend.rounds.engine.due import reason_for_round
from backend.rounds.engine.recording import perform
from backend.rounds.engine.step_order import AFTER, BEFORE, ROUND, Step

STEPS = {step.name: step for step in (*BEFORE, *ROUND, *AFTER)}
_ALONE = [step for step in ROUND if step.name not in ("weigh", "publish")]  # those call Label Studio


def opened(context: Context, actions: Collection[str] = (), **values: Any) -> ProjectRun:
    """The work on project 7 after these events."""
    return replace(context.open(7), **{"events": {"mark": 0, "actions": sorted(actions)}, **values})


def do(
    context: Context, name: str, number: int | None = None, version: int = 0, *,
    actions: Collection[str] = (), **values: Any,
) -> Any:  # fmt: skip
    """The result of one step for project 7. The queue is the round's, unless given."""
    if number is not None and "queue" not in values and (row := context.store.of(7).rounds.get(number)) is not None:
        values["queue"] = row.queue
    return perform(STEPS[name], opened(context, actions, number=number, version=version, **values))


def fail(context: Context, number: int | None, message: str) -> None:
    recording.fail(opened(context, number=number), message)


def reason(context: Context, actions: Collection[str] = ()) -> str | None:
    """Why a round is due for project 7 after these events."""
    return reason_for_round(opened(context, actions))


def play(context: Context, number: int, *, store_queue: Callable[[int, int], None] | None = None) -> int:
    """All steps of a round that need no Label Studio; the adapter version.

    store_queue: called with version and queue.
    """
    assert do(context, "decide", actions=["START_TRAINING"]) == number
    run = opened(context, number=number)
    for step in _ALONE:
        run = recording.after(step, run, perform(step, run))
        if step.name == "select" and run.queue is not None:
            context.store.projects.set(7, queue=run.queue)
            if store_queue is not None:
                store_queue(run.version, run.queue)
    return run.version


def intercept(monkeypatch: pytest.MonkeyPatch, name: str, function: Callable[[Callable[[], Any]], Any]) -> None:
    """Let the workflow call `function` for one step; its argument performs the step."""
    real = workflow.perform

    def perform_or_intercept(step: Step, run: ProjectRun) -> Any:
        return function(lambda: real(step, run)) if step.name == name else real(step, run)

    monkeypatch.setattr(workflow, "perform", perform_or_intercept)

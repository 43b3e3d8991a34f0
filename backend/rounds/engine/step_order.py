"""The steps of a turn, in their order. The only place that lists them.

Bump `STEPS_VERSION` in engine/workflow.py when the order or the meaning of steps changes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from backend.rounds.context import ProjectRun
from backend.rounds.encoder import compare_names, is_due, may_compare_names, settle
from backend.rounds.engine.turn import begin, decide
from backend.rounds.insights import encoders, explanations, label_errors
from backend.rounds.insights import map as text_map
from backend.rounds.quality import stopping
from backend.rounds.quality.notification import notify
from backend.rounds.reach import embed_ahead
from backend.rounds.steps import finish, publish, react, requeue, select, weigh
from backend.rounds.steps.close import close
from backend.rounds.steps.evaluate import evaluate
from backend.rounds.steps.score import score
from backend.rounds.steps.serve import serve
from backend.rounds.steps.sync import sync
from backend.rounds.steps.train import train


def _always(_run: ProjectRun) -> bool:
    return True


@dataclass(frozen=True, kw_only=True)
class Step:
    """One durable step."""

    name: str
    run: Callable[[ProjectRun], Any] | None = None
    parts: tuple[Step, ...] = ()  # in place of `run`: steps that run as one; their `retries` and `result` are not used
    result: str | None = None  # the field of `ProjectRun` that takes the return value
    retries: bool = False  # calls Label Studio: repeated on errors that may pass
    shrinks_batches: bool = False  # repeated with halved batches when memory ran out
    optional: str | None = None  # what it provides, for the log; the round goes on if it fails. None: required
    cancellable: bool = False  # not begun if the project was paused or disconnected, or its options changed
    recorded: bool = True  # its begin and its seconds are written to the round
    applies: Callable[[ProjectRun], bool] = _always


BEFORE = (
    Step(name="begin", run=begin, result="events", recorded=False),
    Step(name="sync", run=sync, result="sync_seconds", retries=True, recorded=False),
    Step(name="encoder", run=settle, optional="which base model fits", recorded=False, applies=is_due),
    Step(name="decide", run=decide, result="number", recorded=False),
    Step(
        name="react", run=react.react, optional="a queue from the newest labels", recorded=False, applies=react.applies
    ),
    Step(
        name="ahead",
        run=embed_ahead,
        optional="embeddings ahead",
        recorded=False,
        applies=lambda run: run.number is None and run.project.connected,
    ),
)
ROUND = (
    Step(name="weigh", run=weigh.weigh, optional="how much each annotator's labels count", recorded=False,
         applies=weigh.applies),
    Step(name="train", run=train, result="version", shrinks_batches=True, cancellable=True),
    Step(name="score", run=score, shrinks_batches=True, cancellable=True),
    Step(name="evaluate", run=evaluate, shrinks_batches=True, cancellable=True),
    Step(name="serve", run=serve, recorded=False),
    Step(name="select", run=select.select, result="queue", shrinks_batches=True, applies=select.applies),
    Step(name="publish", run=publish.publish, retries=True, applies=publish.applies),
    Step(name="judge", parts=(
        Step(name="judge", run=label_errors.write, shrinks_batches=True, optional="which labels seem wrong"),
        Step(name="stopping", run=stopping.judge),
        Step(name="explain", run=explanations.explain, shrinks_batches=True, optional="why tasks were selected",
             applies=explanations.applies),
        Step(name="encoders", run=encoders.compare, shrinks_batches=True, optional="which base model is best",
             applies=encoders.applies),
        Step(name="map", run=text_map.draw, shrinks_batches=True, optional="the map"),
    )),
    Step(name="close", run=close, recorded=False),
)  # fmt: skip
AFTER = (
    Step(
        name="finish",
        run=finish.finish,
        optional="the model's labels of the rest",
        recorded=False,
        applies=finish.applies,
    ),
    Step(
        name="requeue",
        run=requeue.requeue,
        optional="a queue that begins with the tasks put first",
        recorded=False,
        applies=requeue.applies,
    ),
    Step(
        name="names",
        run=compare_names,
        optional="which base model the class names prefer",
        recorded=False,
        applies=may_compare_names,
    ),
    Step(name="tell", run=notify, optional="the message to NOTIFY_URL", recorded=False),
    Step(name="ahead", run=embed_ahead, optional="embeddings ahead", recorded=False),
)

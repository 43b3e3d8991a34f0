"""A worker that is killed on the way, as a power cut or the kernel would: `python -m tests.label_studio.faults.worker`.

FAULTS names a folder with a file `plan`: one line for each kill, done with when it has struck.

    before step, after step     at a step of the round
    in train                    in the middle of training
    before adapter              after an adapter's files are complete, before the database knows it
    before switch               before the call that puts a queue in force
    in write                    while a transaction writes of a round
    calls                       before, then after each different call to Label Studio that has not been struck yet

A line that begins with `freeze` stops the worker there instead, as SIGSTOP does, until somebody lets it go on; with
`hang`, only the thread that computes.

With CLOCK_JUMPS each start after a kill has a clock an hour behind that of the one before.
"""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from backend.cli import main
from backend.labelstudio.api import transport
from backend.labelstudio.api.client import Client
from backend.rounds.context import ProjectRun
from backend.rounds.engine import retry, workflow
from backend.rounds.engine.step_order import Step
from backend.rounds.steps import train as training
from backend.store.rounds import Rounds
from backend.store.sql.database import Database

_FREEZE, _HANG = "freeze ", "hang "
STEPS = ("begin", "sync", "decide", "train", "score", "evaluate", "serve", "select", "publish", "judge", "close")


class Plan:
    """What is still to strike."""

    def __init__(self, folder: Path) -> None:
        self._plan, self._struck = folder / "plan", folder / "struck"

    def next(self) -> str:
        lines = self._plan.read_text().splitlines()
        return lines[0].removeprefix(_FREEZE).removeprefix(_HANG) if lines else ""

    def strike(self, *, what: str | None = None) -> None:
        """Cross out the first line, or note `what` of `calls`, and be killed or frozen."""
        with self._struck.open("a") as struck:
            struck.write(f"{what or self.next()} {os.getpid()}\n" if what is None else f"{what}\n")
        lines = self._plan.read_text().splitlines()
        if what is None:
            self._plan.write_text("\n".join(lines[1:]))
        if lines[0].startswith(_HANG):
            threading.Event().wait()
        os.kill(os.getpid(), signal.SIGSTOP if lines[0].startswith(_FREEZE) else signal.SIGKILL)

    def strikes(self) -> int:
        return len(self._struck.read_text().splitlines()) if self._struck.exists() else 0

    def was_struck(self, what: str) -> bool:
        return self._struck.exists() and what in self._struck.read_text().splitlines()


def plain(method: str, path: str) -> str:
    """A call without what changes from project to project."""
    return f"{method} {re.sub(r'[0-9]+', 'N', path)}"


def watch_steps(plan: Plan) -> None:
    perform = workflow.perform

    def watched(step: Step, run: ProjectRun) -> Any:
        if plan.next() == f"before {step.name}":
            plan.strike()
        found = perform(step, run)
        if plan.next() == f"after {step.name}":
            plan.strike()
        return found

    workflow.perform = watched
    real = training.train_learner

    def train(*arguments: Any, progress: Any, **options: Any) -> None:
        def counted(done: int, total: int) -> None:
            progress(done, total)
            if done > total // 2 and plan.next() == "in train":
                plan.strike()

        real(*arguments, progress=counted, **options)

    training.train_learner = train  # type: ignore[assignment]
    put_adapter = Rounds.put_adapter

    def put(rounds: Rounds, adapter: Any) -> None:
        if plan.next() == "before adapter":
            plan.strike()
        put_adapter(rounds, adapter)

    Rounds.put_adapter = put  # type: ignore[method-assign]
    switch = Client.switch_queue

    def switch_queue(*arguments: Any, **options: Any) -> None:
        if plan.next() == "before switch":
            plan.strike()
        switch(*arguments, **options)

    Client.switch_queue = switch_queue  # type: ignore[method-assign]
    write = Database.write

    @contextmanager
    def writes(database: Database, project_id: int | None = None) -> Iterator[Session]:
        with write(database, project_id) as session:
            if database._fence is not None and plan.next() == "in write":
                plan.strike()
            yield session

    Database.write = writes  # type: ignore[method-assign]


def watch_calls(plan: Plan) -> None:
    real = transport._http_client

    def client(*arguments: Any) -> Any:
        made = real(*arguments)

        def asked(request: Any) -> None:
            what = f"before {plain(request.method, request.url.path)}"
            if plan.next() == "calls" and not plan.was_struck(what) and "whoami" not in what:
                plan.strike(what=what)

        def answered(response: Any) -> None:
            what = f"after {plain(response.request.method, response.request.url.path)}"
            if plan.next() == "calls" and not plan.was_struck(what) and "whoami" not in what:
                plan.strike(what=what)

        made.event_hooks = {
            "request": [*made.event_hooks["request"], asked],
            "response": [*made.event_hooks["response"], answered],
        }
        return made

    transport._http_client = client


if __name__ == "__main__":
    import sys

    retry._PAUSE = retry._LONGEST_PAUSE = 1.0  # failed rounds are tried again at once
    if folder := os.environ.get("FAULTS"):
        plan = Plan(Path(folder))
        watch_steps(plan)
        watch_calls(plan)
        if os.environ.get("CLOCK_JUMPS"):
            true_time, behind = time.time, 3600.0 * plan.strikes()
            time.time = lambda: true_time() - behind
    sys.argv = ["lsal", "worker"]
    main()

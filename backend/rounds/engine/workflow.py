"""The round as a durable workflow: every step is recorded, and a killed round continues with the step it was in.

Only files of this folder use DBOS. Steps exchange numbers and names, never arrays. Bump `STEPS_VERSION`
when the order or the meaning of steps changes: rounds begun under another version are not continued.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from dbos import (
    DBOS,
    DBOSConfig,
    DBOSPortableJSONSerializer,
    SetEnqueueOptions,
    SetWorkflowID,
    WorkflowStatus,
)
from dbos import error as dbos_error

from backend.errors import BackendError, CancelledError, FencedError, TimeOverError, UnexpectedError
from backend.rounds.context import Context, ProjectRun
from backend.rounds.engine import durable_json
from backend.rounds.engine.recording import after, cancel, fail, pause_and_fail, perform
from backend.rounds.engine.retry import step_options
from backend.rounds.engine.step_order import AFTER, BEFORE, ROUND, Step
from backend.store.sql import snapshots
from backend.store.sql.postgresql import PATIENCE

log = logging.getLogger(__name__)

STEPS_VERSION = "12"
QUEUE = "rounds"
_GRACE = 10.0  # seconds, at most, between the dequeuing of a workflow and its start
_OUTDATED = 60.0  # seconds that a workflow of another release waits for a worker of that release
_AT_ONCE = 2  # projects at a time on one of several workers
_MOST_THREADS = 32  # projects at a time on a single worker; most wait for Label Studio, or for one that computes
_ENDED = ("SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")
_T = TypeVar("_T")


class RoundExecutor:
    """Runs rounds of the durable queue in this process, one at a time for each project."""

    def __init__(self, context: Context, folder: Path, executor_id: str) -> None:
        self._executor_id = executor_id
        self._store = context.store
        durable_json.refuse_pickle()
        database = context.store.database
        self._alone = database.file is not None
        self.records = folder / "workflows.sqlite3"  # where this worker is the only one
        if self._alone and (wrong := snapshots.damage(self.records)):  # the store knows the running rounds
            log.error(
                "the records of workflows were damaged (%s), kept as %s", wrong, snapshots.set_aside(self.records).name
            )
        config: DBOSConfig = {
            "name": "label-studio-active-learning",
            "system_database_url": f"sqlite:///{self.records.absolute()}" if self._alone else database.address,
            "use_listen_notify": False,  # no workflow waits for messages
            "db_engine_kwargs": {} if self._alone else {"connect_args": PATIENCE},
            "application_version": STEPS_VERSION,
            "executor_id": executor_id,
            "serializer": DBOSPortableJSONSerializer(),
            "log_level": "ERROR",  # its warnings are failed tries; the step `fail` logs the last one
        }
        DBOS(config=config)
        theirs = logging.getLogger("dbos")  # has handlers of its own
        theirs.handlers.clear()
        theirs.propagate = True

        self._running: Counter[str] = Counter()  # a workflow that was taken over may still run beside its successor
        self._counting = threading.Lock()
        self._lost: dict[str, float] = {}  # since when a workflow is recorded as running and does not run

        @DBOS.workflow(name="round")
        def workflow(project_id: int, turn: int) -> int | None:
            name = _name(project_id, turn)
            self._count(name, 1)
            try:
                return _turn(context, project_id, turn)
            finally:
                self._count(name, -1)

        self._workflow = workflow

    def launch(self) -> None:
        """Continue the rounds of a killed process, then work on the queue."""
        DBOS.launch()
        if self._alone:
            self._take_over(lambda: {self._executor_id}, patience=0.0)
        DBOS.register_queue(
            QUEUE, partition_concurrency=1, worker_concurrency=_MOST_THREADS if self._alone else _AT_ONCE,
            polling_interval_sec=0.5, on_conflict="always_update",
        )  # fmt: skip

    def stop(self, patience: int = 5) -> None:
        """Stop dequeuing. A step still running after `patience` seconds runs again after the next launch."""
        DBOS.destroy(destroy_registry=True, workflow_completion_timeout_sec=patience)

    def enqueue(self, project_id: int, turn: int) -> bool:
        """Enqueue a turn of a project. Idempotent. Returns True if this turn has already finished."""
        with SetWorkflowID(_name(project_id, turn)), SetEnqueueOptions(queue_partition_key=str(project_id)):
            return DBOS.enqueue_workflow(QUEUE, self._workflow, project_id, turn).get_status().status in _ENDED

    @property
    def projects(self) -> set[int]:
        """The projects whose turns run in this process."""
        with self._counting:
            return {_project(name) for name in self._running}

    def revive(self, alive: Callable[[], Collection[str]] | None) -> None:
        """Enqueue again the workflows that are recorded as running and do not run.

        Their worker is gone, or a full disk prevented the record of their end.
        alive: returns the live workers; None while they are unknown.
        """
        if alive is not None:
            self._take_over(alive, patience=_OUTDATED)
        mine = _under_way(executor_id=self._executor_id, status="PENDING")
        with self._counting:
            lost = {each.workflow_id for each in mine} - set(self._running)
        now = time.monotonic()
        self._lost = {name: self._lost.get(name, now) for name in lost}
        for name, since in list(self._lost.items()):
            if now - since > _GRACE:
                log.warning("%s stopped without a record and goes on", name)
                DBOS.resume_workflow(name, queue_name=QUEUE)
                del self._lost[name]

    def _count(self, name: str, more: int) -> None:
        with self._counting:
            self._running[name] += more
            if not self._running[name]:
                del self._running[name]

    def _take_over(self, alive: Callable[[], Collection[str]], *, patience: float) -> None:
        """Take over the workflows of dead workers. Those of another release are cancelled and started again."""
        there = alive()
        for each in _under_way(status=["PENDING", "ENQUEUED"]):
            mine = each.executor_id == self._executor_id
            outdated = each.app_version not in (None, STEPS_VERSION)
            if each.status == "ENQUEUED" or (mine and outdated):
                age = time.time() - (each.created_at or 0) / 1000
                if outdated and not 0 <= age < patience:
                    DBOS.cancel_workflow(each.workflow_id)
                continue
            if mine or each.executor_id in there:
                continue
            with self._store.database.write(_project(each.workflow_id)):  # only one of two workers takes over
                still = _under_way(workflow_ids=[each.workflow_id], executor_id=each.executor_id, status="PENDING")
                if still and each.executor_id not in alive():
                    log.warning("%s is taken over from worker %s, which is gone", each.workflow_id, each.executor_id)
                    if outdated:
                        DBOS.cancel_workflow(each.workflow_id)
                    else:
                        DBOS.resume_workflow(each.workflow_id, queue_name=QUEUE)

    def forget(self, *, older_than: float) -> None:
        """Delete the records of workflows that ended more than this many seconds ago."""
        before = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - older_than))
        while found := DBOS.list_workflows(
            status=list(_ENDED), completed_before=before, limit=1000, load_input=False, load_output=False
        ):
            DBOS.delete_workflows([workflow.workflow_id for workflow in found])


def _name(project_id: int, turn: int) -> str:
    return f"round-{project_id}-{turn}"


def _project(name: str) -> int:
    return int(name.split("-")[1])


def _under_way(**which: Any) -> list[WorkflowStatus]:
    return DBOS.list_workflows(queue_name=QUEUE, load_input=False, load_output=False, **which)


def _turn(context: Context, project_id: int, turn: int) -> int | None:
    """Sync the project and, if one is due, run one round. Returns the round's number, or None."""
    run = replace(context.open(project_id), turn=turn)
    taken_over = False
    try:
        run = run.take_over()
        taken_over = True
        for step in BEFORE:
            run = _step(step, run)
        if run.number is not None:
            for step in ROUND:
                run = _step(step, run)
        for step in AFTER:
            run = _step(step, run)
    except Exception as error:
        cause = _cause(error)
        # Another worker continues the round, or this process is stopping and the round continues after that.
        if isinstance(cause, (FencedError, dbos_error.DBOSException)):
            raise
        if not taken_over:  # the database refused it
            raise
        end = (
            cancel
            if isinstance(cause, CancelledError)
            else pause_and_fail
            if isinstance(cause, TimeOverError)
            else fail
        )
        message = str(cause) if isinstance(cause, BackendError) else f"{type(cause).__name__} of the workflows' records"
        DBOS.run_step({"name": "fail"}, _discreet("fail", end), run, message)
    return run.number


def _step(step: Step, run: ProjectRun) -> ProjectRun:
    """Run a step and record its result; a recorded step is not run again after a restart."""
    options = step_options(step.name, retries=step.retries)
    return after(step, run, DBOS.run_step(options, _discreet(step.name, perform), step, run))


def _discreet(name: str, function: Callable[..., _T]) -> Callable[..., _T]:
    """Hide messages of foreign exceptions, which may quote a task's text: DBOS stores and logs them."""

    def run(*arguments: Any) -> _T:
        try:
            return function(*arguments)
        except FencedError as error:  # DBOS does not log it
            log.warning("%s", error)
            raise
        except BackendError:
            raise
        except Exception as error:
            log.exception("unexpected error in the step '%s'", name)
            raise UnexpectedError(f"unexpected {type(error).__name__} in the step '{name}'; see the log") from None

    return run


def _cause(error: Exception) -> Exception:
    """The exception of the last try, which DBOS wraps."""
    tries = getattr(error, "errors", None)
    return _cause(tries[-1]) if isinstance(tries, list) and tries else error

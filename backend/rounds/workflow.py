"""The round as a durable workflow: every step is recorded, and a killed round goes on where it stopped.

The only file that knows DBOS. Steps exchange numbers and names, never arrays. Bump `STEPS_VERSION` when the order or
the meaning of steps changes: rounds begun under another version are not taken up again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, TypeVar

from dbos import (
    DBOS,
    DBOSConfig,
    DBOSPortableJSONSerializer,
    SetEnqueueOptions,
    SetWorkflowID,
    StepOptions,
    WorkflowStatus,
)
from dbos import error as dbos_error
from dbos._serialization import DefaultSerializer

from backend.errors import BackendError, FencedError, LabelStudioError, UnexpectedError
from backend.rounds import steps
from backend.rounds.context import Context
from backend.store import snapshots
from backend.store.postgresql import PATIENCE

log = logging.getLogger(__name__)

STEPS_VERSION = "4"
QUEUE = "rounds"
_GRACE = 10.0  # seconds between the moment that a workflow is taken and the one that it runs, at most
_OUTDATED = 60.0  # seconds that a workflow of another release may wait for a worker of that release
_AT_ONCE = 2  # projects that one of several workers works on; one worker alone takes all, since nobody else would
_ENDED = ("SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")
_T = TypeVar("_T")


class Rounds:
    """Runs rounds in this process, one at a time for each project, taken from the durable queue."""

    def __init__(self, context: Context, folder: Path, executor_id: str) -> None:
        self._executor_id = executor_id
        self._store = context.store
        DefaultSerializer.deserialize = _refuse_pickle  # type: ignore[assignment,method-assign]
        database = context.store.database
        self._alone = database.file is not None
        self.records = folder / "workflows.sqlite3"  # where this worker is the only one
        if self._alone and (wrong := snapshots.damage(self.records)):  # what was under way the store knows, and goes on
            log.error(
                "the records of workflows were damaged (%s), kept as %s", wrong, snapshots.set_aside(self.records).name
            )
        config: DBOSConfig = {
            "name": "label-studio-active-learning",
            "system_database_url": f"sqlite:///{self.records.absolute()}" if self._alone else database.address,
            "use_listen_notify": False,  # nothing here waits for messages
            "db_engine_kwargs": {} if self._alone else {"connect_args": PATIENCE},
            "application_version": STEPS_VERSION,
            "executor_id": executor_id,
            "serializer": DBOSPortableJSONSerializer(),
            "log_level": "ERROR",  # its warnings are of tries that failed: the last one is told by the step `fail`
        }
        DBOS(config=config)
        theirs = logging.getLogger("dbos")  # which would write by itself
        theirs.handlers.clear()
        theirs.propagate = True

        self._running: Counter[str] = Counter()  # one that was taken over and came back may run beside its successor
        self._counting = threading.Lock()
        self._lost: dict[str, float] = {}  # since when a workflow is said to run that does not

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
        """Take up what a killed process left, then work on the queue."""
        DBOS.launch()
        if self._alone:
            self._take_over(lambda: {self._executor_id}, patience=0.0)
        DBOS.register_queue(
            QUEUE, partition_concurrency=1, worker_concurrency=None if self._alone else _AT_ONCE,
            polling_interval_sec=0.5, on_conflict="always_update",
        )  # fmt: skip

    def stop(self, patience: int = 5) -> None:
        """Stop taking work; a step still running after `patience` seconds is run again after the next launch."""
        DBOS.destroy(destroy_registry=True, workflow_completion_timeout_sec=patience)

    def enqueue(self, project_id: int, turn: int) -> bool:
        """Ask for a turn of a project. Asking again for the same turn changes nothing. Whether it has ended already."""
        with SetWorkflowID(_name(project_id, turn)), SetEnqueueOptions(queue_partition_key=str(project_id)):
            return DBOS.enqueue_workflow(QUEUE, self._workflow, project_id, turn).get_status().status in _ENDED

    @property
    def projects(self) -> set[int]:
        """Whose turns run in this process."""
        with self._counting:
            return {_project(name) for name in self._running}

    def revive(self, alive: Callable[[], Collection[str]] | None) -> None:
        """Put back into the queue what is recorded as running and is not.

        The worker that ran it is gone, or its end did not fit on a full disk.
        alive: tells the workers there are; None if that cannot be known at the moment.
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
                log.warning("%s stopped without a word and goes on", name)
                DBOS.resume_workflow(name, queue_name=QUEUE)
                del self._lost[name]

    def _count(self, name: str, more: int) -> None:
        with self._counting:
            self._running[name] += more
            if not self._running[name]:
                del self._running[name]

    def _take_over(self, alive: Callable[[], Collection[str]], *, patience: float) -> None:
        """Take over from workers that are gone. What another release began is not gone on with, but begun anew."""
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
            with self._store.database.write(_project(each.workflow_id)):  # of two that want to, one does
                still = _under_way(workflow_ids=[each.workflow_id], executor_id=each.executor_id, status="PENDING")
                if still and each.executor_id not in alive():
                    log.warning("%s is taken over from worker %s, which is gone", each.workflow_id, each.executor_id)
                    if outdated:
                        DBOS.cancel_workflow(each.workflow_id)
                    else:
                        DBOS.resume_workflow(each.workflow_id, queue_name=QUEUE)

    def forget(self, *, older_than: float) -> None:
        """Delete the records of workflows that ended more than so many seconds ago."""
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


def _refuse_pickle(*_: Any) -> Any:
    """DBOS unpickles whatever a row of its database says is pickled, and a pickle can run any program."""
    raise ValueError("a record of the workflow database is pickled; this backend writes and reads JSON only")


def _turn(context: Context, project_id: int, turn: int) -> int | None:
    """Look at Label Studio and, if there is reason to, do one round. The round's number, or None."""
    number = None
    everybodys = context
    try:
        context = context.taken_over(project_id)
        events = _step("begin", steps.begin, context, project_id, turn)
        seconds = _step("sync", steps.sync, context, project_id, events, calls_label_studio=True)
        number = _step("decide", steps.decide, context, project_id, events, seconds)
        if number is not None:
            version = _step("train", steps.train, context, project_id, number)
            _step("evaluate", steps.evaluate, context, project_id, number, version)
            _step("score", steps.score, context, project_id, number, version)
            _step("serve", steps.serve, context, project_id, number, version)
            queue = _step("select", steps.select, context, project_id, number, version)
            if queue is not None:
                _step("publish", steps.publish, context, project_id, number, version, queue, calls_label_studio=True)
            _step("judge", steps.judge, context, project_id, number, version)
            _step("finish", steps.finish, context, project_id, number, version)
        _step("tell", steps.tell, context, project_id)
    except Exception as error:
        cause = _cause(error)
        # Another worker goes on with it, or this process is being stopped, and the round goes on after that.
        if isinstance(cause, (FencedError, dbos_error.DBOSException)):
            raise
        said = str(cause) if isinstance(cause, BackendError) else f"{type(cause).__name__} of the workflows' records"
        if context is everybodys:  # the database would not have it taken over
            raise
        _step("fail", steps.fail, context, project_id, number, said)
    return number


def _step(name: str, function: Callable[..., _T], *arguments: Any, calls_label_studio: bool = False) -> _T:
    """Run a step once, whatever happens to the process; calls to Label Studio are tried three times."""
    options: StepOptions = {"name": name}
    if calls_label_studio:
        options |= {"retries_allowed": True, "max_attempts": 3, "interval_seconds": 1.0, "backoff_rate": 3.0,
                    "should_retry": _may_pass}  # fmt: skip
    return DBOS.run_step(options, _discreet(name, function), *arguments)


def _discreet(name: str, function: Callable[..., _T]) -> Callable[..., _T]:
    """DBOS keeps and logs the message of an exception, and one that is not ours may quote a task's text."""

    def run(*arguments: Any) -> _T:
        try:
            return function(*arguments)
        except FencedError as error:  # which DBOS, whose records are fenced, too, would keep to itself
            log.warning("%s", error)
            raise
        except BackendError:
            raise
        except Exception as error:
            log.exception("the step '%s' met an error that it does not know", name)
            raise UnexpectedError(f"unexpected {type(error).__name__} in the step '{name}'; see the log") from None

    return run


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, LabelStudioError) and error.passing


def _cause(error: Exception) -> Exception:
    """DBOS wraps what the last of several tries raised."""
    tries = getattr(error, "errors", None)
    return _cause(tries[-1]) if isinstance(tries, list) and tries else error

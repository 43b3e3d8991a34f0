"""The worker process: continues the rounds of a killed one, then runs rounds as events and time require."""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from socket import gethostname

from backend.errors import BackendError, RefusedStartError
from backend.rounds.engine.heartbeat import Heartbeat
from backend.rounds.engine.notifier import TAKE_OVER_AFTER, notify
from backend.rounds.engine.workflow import RoundExecutor
from backend.settings import Settings
from backend.store import Store

log = logging.getLogger(__name__)


def work(make_executor: Callable[[], RoundExecutor], store: Store, heartbeat: Heartbeat, settings: Settings) -> None:
    """Run rounds until SIGTERM or SIGINT. Serving comes first: this process lowers its own priority.

    make_executor: called when no other worker has this name, because it continues the rounds under its name.
    """
    embedded = store.database.file is not None
    lock = (settings.model_dir / ("worker.lock" if embedded else f"worker-{settings.executor}.lock")).open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        name = "" if embedded else f" as {settings.executor}"
        other = "set DATABASE_URL for several" if embedded else "give this one another EXECUTOR_ID"
        raise RefusedStartError(
            f"another worker runs on {settings.model_dir}{name}; stop it first, or {other}"
        ) from None
    if not embedded:
        _await_name(store, settings.executor)
    os.nice(10)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    executor = make_executor()
    heartbeat.start(stop)  # first: others take over from a worker without a heartbeat
    executor.launch()
    log.info("the worker waits for events")
    try:
        notify(executor, store, heartbeat.beat, sync_interval=settings.sync_interval, stop=stop)
        begun = None if embedded else executor.projects
        executor.stop()
        store.rounds.forgive_tries(begun)  # this stop was no sign of too little memory
        if not embedded:
            store.workers.leave(settings.executor)
        code = 0
    except Exception as error:
        if isinstance(error, BackendError):
            log.error("%s", error)
        else:
            log.exception("the worker could not stop cleanly")
        with suppress(Exception):  # this error was no sign of too little memory
            store.rounds.forgive_tries(None if embedded else executor.projects)
        code = 1
    logging.shutdown()
    os._exit(code)  # do not wait for a running step: it runs again after the next start


def _await_name(store: Store, executor_id: str) -> None:
    """Wait until no worker on another host has this name: this worker itself may have run there until now."""
    deadline = time.monotonic() + TAKE_OVER_AFTER + 10.0
    while (host := store.workers.alive(within=TAKE_OVER_AFTER).get(executor_id, gethostname())) != gethostname():
        if time.monotonic() > deadline:
            raise RefusedStartError(
                f"worker {executor_id} runs on {host}, and two of one name would take each other's rounds; give this "
                "one another EXECUTOR_ID"
            )
        time.sleep(1.0)

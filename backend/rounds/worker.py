"""The worker process: takes up what a killed one left, then runs rounds as events and time call for them."""

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
from backend.rounds.pulse import Pulse
from backend.rounds.triggers import SILENT, notify
from backend.rounds.workflow import Rounds
from backend.settings import Settings
from backend.store import Store

log = logging.getLogger(__name__)


def work(make_rounds: Callable[[], Rounds], store: Store, pulse: Pulse, settings: Settings) -> None:
    """Run rounds until told to stop. Serving goes first: this process asks the system for the lowest priority.

    make_rounds: called when it is sure that no other worker runs by this name, whose rounds it would take up.
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
    rounds = make_rounds()
    pulse.start(stop)  # first of all: of a worker without a sign of life others take over
    rounds.launch()
    log.info("the worker waits for events")
    try:
        notify(rounds, store, pulse.beat, sync_interval=settings.sync_interval, stop=stop)
        begun = None if embedded else rounds.projects
        rounds.stop()
        store.rounds.forgive_tries(begun)  # after the stop, which nobody's memory is to blame for
        if not embedded:
            store.workers.leave(settings.executor)
        code = 0
    except Exception as error:
        if isinstance(error, BackendError):
            log.error("%s", error)
        else:
            log.exception("the worker could not stop in good order")
        with suppress(Exception):  # it was not memory, either
            store.rounds.forgive_tries(None if embedded else rounds.projects)
        code = 1
    logging.shutdown()
    os._exit(code)  # a step in the middle of training is run again after the next start; do not wait for it


def _await_name(store: Store, executor_id: str) -> None:
    """Wait until nobody is heard of by this name on another host: this worker itself ran there, perhaps, till now."""
    deadline = time.monotonic() + SILENT + 10.0
    while (host := store.workers.alive(within=SILENT).get(executor_id, gethostname())) != gethostname():
        if time.monotonic() > deadline:
            raise RefusedStartError(
                f"worker {executor_id} runs on {host}, and two of one name would take each other's rounds; give this "
                "one another EXECUTOR_ID"
            )
        time.sleep(1.0)

"""The worker process: takes up what a killed one left, then runs rounds as events and time call for them."""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import threading
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
        other = "set DATABASE_URL for several" if embedded else "give this one another EXECUTOR_ID"
        raise RefusedStartError(
            f"another worker runs on {settings.model_dir} as {settings.executor}; stop it first, or {other}"
        ) from None
    host = store.workers.alive(within=SILENT).get(settings.executor, gethostname())
    if not embedded and host != gethostname():
        raise RefusedStartError(
            f"worker {settings.executor} runs on {host}, and two of one name would take each other's rounds; give this "
            "one another EXECUTOR_ID"
        )
    os.nice(10)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    rounds = make_rounds()
    rounds.launch()
    pulse.start(stop)
    log.info("the worker waits for events")
    try:
        notify(rounds, store, pulse.beat, sync_interval=settings.sync_interval, stop=stop)
        rounds.stop()
        store.rounds.forgive_tries()  # after the stop, which nobody's memory is to blame for
        code = 0
    except Exception as error:
        if isinstance(error, BackendError):
            log.error("%s", error)
        else:
            log.exception("the worker could not stop in good order")
        with suppress(Exception):  # it was not memory, either
            store.rounds.forgive_tries()
        code = 1
    logging.shutdown()
    os._exit(code)  # a step in the middle of training is run again after the next start; do not wait for it

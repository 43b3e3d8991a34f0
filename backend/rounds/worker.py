"""The worker process: takes up what a killed one left, then runs rounds as events and time call for them."""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import threading

from backend.errors import BackendError
from backend.rounds.pulse import Pulse
from backend.rounds.triggers import notify
from backend.rounds.workflow import Rounds
from backend.settings import Settings
from backend.store import Store

log = logging.getLogger(__name__)


def work(rounds: Rounds, store: Store, pulse: Pulse, settings: Settings) -> None:
    """Run rounds until told to stop. Serving goes first: this process asks the system for the lowest priority."""
    lock = (settings.model_dir / "worker.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BackendError(f"another worker runs on {settings.model_dir}; stop it first") from None
    os.nice(10)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    rounds.launch()
    pulse.start(stop)
    log.info("the worker waits for events")
    try:
        notify(rounds, store, pulse.beat, sync_interval=settings.sync_interval, stop=stop)
        rounds.stop()
        store.rounds.forgive_tries()  # after the stop, which nobody's memory is to blame for
        code = 0
    except BackendError as error:
        log.error("%s", error)
        code = 1
    logging.shutdown()
    os._exit(code)  # a step in the middle of training is run again after the next start; do not wait for it

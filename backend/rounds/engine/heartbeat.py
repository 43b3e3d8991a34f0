"""The worker's heartbeat, with the state of its connection to Label Studio."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress

from sqlalchemy.exc import SQLAlchemyError

from backend.errors import LabelStudioError
from backend.labelstudio.api.client import Client
from backend.labelstudio.api.probes import whoami
from backend.store import Store

log = logging.getLogger(__name__)

_BEAT = 10.0  # seconds between heartbeats
_CHECK = 30.0  # seconds between checks of Label Studio
_DEAD = 120.0  # seconds without a call of `beat` after which the heartbeat stops


class Heartbeat:
    """Writes a heartbeat for `/ready` and for other workers, which take over from a worker without one.

    A thread writes it, since the main thread may wait long for the database, but only while the main thread calls
    `beat`. Another thread checks Label Studio; the next heartbeat carries the result. `client` needs short timeouts.
    """

    def __init__(self, store: Store, client: Client, executor_id: str) -> None:
        self._store, self._client, self._executor_id = store, client, executor_id
        self._label_studio: str | None = None
        self._alive_at = time.monotonic()

    def start(self, stop: threading.Event) -> None:
        """Write the first heartbeat, then continue, and check Label Studio, until `stop` is set."""
        self._store.workers.beat(self._executor_id, self._label_studio)
        for name, run in (("beat", self._beat), ("check", self._check)):
            threading.Thread(target=run, args=(stop,), daemon=True, name=f"heartbeat-{name}").start()

    def beat(self) -> None:
        """Call this often: after two minutes without a call the heartbeat stops."""
        self._alive_at = time.monotonic()

    def _beat(self, stop: threading.Event) -> None:
        while not stop.wait(_BEAT):
            if time.monotonic() - self._alive_at < _DEAD:
                with suppress(SQLAlchemyError):  # the notifier logs that the database is away
                    self._store.workers.beat(self._executor_id, self._label_studio)

    def _check(self, stop: threading.Event) -> None:
        while True:
            before = self._label_studio
            try:
                whoami(self._client)
                self._label_studio = None
            except LabelStudioError as error:
                self._label_studio = str(error)
            if self._label_studio != before:
                log.warning("%s", self._label_studio or "Label Studio is well again")
            if stop.wait(_CHECK):
                return

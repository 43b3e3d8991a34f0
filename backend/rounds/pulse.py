"""Says that the worker lives, and whether it gets on with Label Studio."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress

from sqlalchemy.exc import SQLAlchemyError

from backend.errors import LabelStudioError
from backend.labelstudio.client import Client
from backend.labelstudio.probes import whoami
from backend.store import Store

log = logging.getLogger(__name__)

_BEAT = 10.0  # seconds
_LOOK = 30.0
_DEAD = 120.0


class Pulse:
    """The worker's sign of life, for `/ready` and for other workers, who take over from one that gives none.

    It is given by a thread of its own, since whoever works may wait long for a database that comes back, but only while
    `beat` is called, too. `client` should give up soon: Label Studio is looked at in another thread, and what it was
    found to be like is noted with the next beat.
    """

    def __init__(self, store: Store, client: Client, executor_id: str) -> None:
        self._store, self._client, self._executor_id = store, client, executor_id
        self._label_studio: str | None = None
        self._alive_at = time.monotonic()

    def start(self, stop: threading.Event) -> None:
        """Give the first sign, then go on, and look at Label Studio, until told to stop."""
        self._store.workers.beat(self._executor_id, self._label_studio)
        for name, run in (("beat", self._beat), ("look", self._look)):
            threading.Thread(target=run, args=(stop,), daemon=True, name=f"pulse-{name}").start()

    def beat(self) -> None:
        """Call this often: without it for two minutes, no sign is given any more."""
        self._alive_at = time.monotonic()

    def _beat(self, stop: threading.Event) -> None:
        while not stop.wait(_BEAT):
            if time.monotonic() - self._alive_at < _DEAD:
                with suppress(SQLAlchemyError):  # the notifier says that the database is away
                    self._store.workers.beat(self._executor_id, self._label_studio)

    def _look(self, stop: threading.Event) -> None:
        while True:
            before = self._label_studio
            try:
                whoami(self._client)
                self._label_studio = None
            except LabelStudioError as error:
                self._label_studio = str(error)
            if self._label_studio != before:
                log.warning("%s", self._label_studio or "Label Studio is well again")
            if stop.wait(_LOOK):
                return

"""Says that the worker lives, and whether it gets on with Label Studio."""

from __future__ import annotations

import logging
import threading
import time

from backend.errors import LabelStudioError
from backend.labelstudio.client import Client
from backend.labelstudio.probes import whoami
from backend.store import Store

log = logging.getLogger(__name__)

_BEAT = 10.0  # seconds
_LOOK = 30.0


class Pulse:
    """The worker's sign of life, for `/ready`.

    `client` should give up soon: Label Studio is looked at in a thread of its own, and what it was found to be like is
    noted with the next beat.
    """

    def __init__(self, store: Store, client: Client, executor_id: str) -> None:
        self._store, self._client, self._executor_id = store, client, executor_id
        self._label_studio: str | None = None
        self._beaten = -_BEAT

    def start(self, stop: threading.Event) -> None:
        """Begin to look at Label Studio, until told to stop."""
        threading.Thread(target=self._look, args=(stop,), daemon=True, name="pulse").start()

    def beat(self) -> None:
        """Call this often: one call every ten seconds is noted."""
        if time.monotonic() - self._beaten >= _BEAT:
            self._store.workers.beat(self._executor_id, self._label_studio)
            self._beaten = time.monotonic()

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

"""One computation at a time: projects take turns in the order in which they came, and one that hangs is ended."""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)

_WAIT = 1.0  # seconds between two calls of `meanwhile`


def _end_process() -> None:
    """End this process at once: a thread that computes cannot be ended. The supervisor starts another one."""
    logging.shutdown()
    os._exit(1)


class Computing:
    """The turn to compute. Two models at work would need twice the memory and take as long together.

    patience: seconds that a computation may take without a call of `beat`; then `give_up` is called.
    """

    def __init__(self, patience: float = math.inf, give_up: Callable[[], None] = _end_process) -> None:
        self._patience, self._give_up = patience, give_up
        self._queue: deque[object] = deque()  # the first one has the turn
        self._changed = threading.Condition()
        self._beat = 0.0

    @contextmanager
    def turn(self, what: str, meanwhile: Callable[[], None]) -> Iterator[None]:
        """Wait for the turn and keep it. Step by step the turn goes round the projects.

        what: the computation, for the log. meanwhile: called about once a second while waiting; may raise.
        """
        ticket = object()
        with self._changed:
            self._queue.append(ticket)
        try:
            while not self._is_first(ticket):
                meanwhile()
            with self._watched(what):
                yield
        finally:
            with self._changed:
                self._queue.remove(ticket)
                self._changed.notify_all()

    def beat(self) -> None:
        """Note that the computation makes progress."""
        self._beat = time.monotonic()

    def _is_first(self, ticket: object) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self._queue[0] is ticket, _WAIT)

    @contextmanager
    def _watched(self, what: str) -> Iterator[None]:
        ended = threading.Event()
        self.beat()

        def watch() -> None:
            while (left := self._beat + self._patience - time.monotonic()) > 0:
                if ended.wait(min(left, threading.TIMEOUT_MAX)):
                    return
            log.error(
                "%s made no progress for %.0f minutes (MAX_STALL_MINUTES); the worker ends and is started again",
                what, self._patience / 60,
            )  # fmt: skip
            self._give_up()

        threading.Thread(target=watch, daemon=True, name="watch").start()
        try:
            yield
        finally:
            ended.set()
